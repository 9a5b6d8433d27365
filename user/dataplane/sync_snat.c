/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <string.h>

#include "dataplane/sync_parts.h"

static void row_of(const struct wanted_snat *wanted, struct lb_snat *row)
{
	*row = (struct lb_snat){.first_port = wanted->first_port, .n_ports = wanted->n_ports};
	memcpy(row->addr.b, wanted->ip, sizeof(row->addr.b));
}

static bool same(const struct lb_snat *row, const struct wanted_snat *wanted)
{
	return row->first_port == wanted->first_port && row->n_ports == wanted->n_ports &&
	       memcmp(row->addr.b, wanted->ip, sizeof(row->addr.b)) == 0;
}

static bool stands_at(const struct sync *sync, const struct wanted_service *service, uint32_t first)
{
	for (uint32_t i = 0; i < service->n_snat; i++) {
		if (!same(&sync->view.snat[first + i], &service->snat[i]))
			return false;
	}
	return true;
}

/* The first row behind all that were ever used: flows may name those, and keep their addresses. */
static uint32_t top_of(const struct sync *sync)
{
	uint32_t top = LB_MAX_SNAT;

	while (top > 1 && sync->view.snat[top - 1].n_ports == 0)
		top--;
	return top;
}

int sync_snat_rows(struct sync *sync, const struct wanted_service *service, uint16_t *ret_first,
		   struct error *err)
{
	uint32_t top = top_of(sync);
	int rc = 0;

	if (service->n_snat == 0)
		return 0;
	for (uint32_t first = 1; first + service->n_snat <= top; first++) {
		if (stands_at(sync, service, first)) {
			*ret_first = (uint16_t)first;
			return 0;
		}
	}
	if (top + service->n_snat > LB_MAX_SNAT)
		return error_set(err, -ENOSPC, "snat-addresses",
				 "no room for the source addresses of service '%s': %d were used "
				 "since the tables were made; 'lbd --teardown' makes them anew",
				 service->name, LB_MAX_SNAT - 1);
	for (uint32_t i = 0; rc == 0 && i < service->n_snat; i++) {
		struct lb_snat row;

		row_of(&service->snat[i], &row);
		rc = sync->ops->snat_put(sync->ctx, top + i, &row);
	}
	*ret_first = (uint16_t)top;
	return rc;
}
