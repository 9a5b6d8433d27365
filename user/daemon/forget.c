/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "daemon/forget.h"

#include <errno.h>
#include <string.h>

struct forget {
	struct load_balancer *lb;
	bool gone[LB_MAX_SERVICES]; /* by id */
	uint64_t ended;
	int error;
};

static bool end_flow(void *ctx, uint32_t record, const struct lb_flow *flow)
{
	struct forget *forget = ctx;

	if (flow->service >= LB_MAX_SERVICES || !forget->gone[flow->service] ||
	    flow->word & LB_FLOW_KILLED)
		return true;
	forget->error = dataplane_kill_flow(forget->lb->dataplane, record, flow);
	if (forget->error == 0)
		forget->ended++;
	return forget->error == 0;
}

void forget_services(struct load_balancer *lb)
{
	struct forget forget = {.lb = lb};
	uint32_t n_gone = 0;

	for (uint32_t id = 1; id < lb->service_ids.size; id++) {
		const char *name = ids_name(&lb->service_ids, id);

		if (!*name || config_find_service(lb->config, name))
			continue;
		forget.gone[id] = true;
		n_gone++;
		ids_release(&lb->service_ids, id);
	}
	if (n_gone == 0 || !lb->dataplane)
		return;
	dataplane_each_flow(lb->dataplane, 0, end_flow, &forget);
	if (forget.error == 0)
		forget.error = dataplane_kill_finish(lb->dataplane);
	if (forget.error)
		log_error("cannot end the flows of services that are gone: %s",
			  strerror(-forget.error));
	else if (forget.ended > 0)
		log_info("ended %llu flows of services that are gone",
			 (unsigned long long)forget.ended);
}

static bool mark_backend(void *ctx, uint32_t record, const struct lb_flow *flow)
{
	uint8_t *bits = ctx;

	(void)record;
	bits[flow->backend / 8] |= (uint8_t)(1U << flow->backend % 8);
	return true;
}

void forget_mark_named(void *ctx, uint8_t *bits)
{
	struct load_balancer *lb = ctx;

	if (lb->dataplane)
		dataplane_each_flow(lb->dataplane, 0, mark_backend, bits);
}
