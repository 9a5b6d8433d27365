/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "daemon/flow_filter.h"

#include <string.h>

void flow_filter_add_id(struct flow_filter *filter, uint16_t id)
{
	filter->has_backend = true;
	filter->ids[id / 8] |= (uint8_t)(1U << id % 8);
}

const char *flow_filter_client(struct flow_filter *filter, const char *text)
{
	const char *why = prefix_parse(slice_of(text), &filter->client);
	struct addr addr;

	/* With a port, or in brackets, it is one address. */
	if (why && !strchr(text, '/')) {
		why = addr_parse(slice_of(text), false, &addr);
		if (!why) {
			memcpy(filter->client.ip, addr.ip, sizeof(addr.ip));
			filter->client.bits = PREFIX_MAX_BITS;
			filter->client_port = addr.port;
		}
	}
	filter->has_client = !why;
	return why;
}

static bool backend_fits(const struct flow_filter *filter, const struct lb_flow *flow,
			 const struct addr *backend)
{
	if (filter->ids[flow->backend / 8] & (1U << flow->backend % 8))
		return true;
	return filter->has_address &&
	       memcmp(filter->address.ip, backend->ip, sizeof(backend->ip)) == 0 &&
	       (filter->address.port == 0 || filter->address.port == backend->port);
}

bool flow_filter_takes(const struct flow_filter *filter, const struct lb_flow *flow,
		       const struct addr *backend)
{
	if (filter->has_service && flow->service != filter->service)
		return false;
	if (filter->has_backend && !backend_fits(filter, flow, backend))
		return false;
	if (!filter->has_client)
		return true;
	return prefix_has(&filter->client, flow->client.b) &&
	       (filter->client_port == 0 || filter->client_port == flow->client_port);
}
