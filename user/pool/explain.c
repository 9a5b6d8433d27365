/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "pool/pool.h"

#include <stdio.h>

static const char *const healths[] = {
	[HEALTH_UNKNOWN] = "unknown",
	[HEALTH_UP] = "up",
	[HEALTH_DOWN] = "down",
};
const struct strtable backend_health_names = STRTABLE(healths);

void backend_explain(const struct pool *pool, const struct backend *backend, char *text,
		     size_t size)
{
	const char *health = strtable_name(&backend_health_names, (int)backend->health);

	if (backend->spec.admin != ADMIN_ENABLED)
		(void)snprintf(text, size, "%s",
			       strtable_name(&admin_names, (int)backend->spec.admin));
	else if (backend->spec.weight == 0)
		(void)snprintf(text, size, "weight is 0");
	else if (backend->health == HEALTH_UP)
		(void)snprintf(text, size, "eligible");
	else if (!backend_eligible(pool, backend))
		(void)snprintf(text, size, "%s: %s", health, backend->health_reason);
	else if (backend->health == HEALTH_UNKNOWN && pool_spec(pool)->start_up)
		(void)snprintf(text, size, "eligible: not checked yet, and the pool starts up");
	else
		(void)snprintf(text, size, "eligible: %s, but so are all and when-all-down is all",
			       health);
}
