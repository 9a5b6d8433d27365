/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "daemon/service_counts.h"

#include <string.h>

static bool count_open(void *ctx, uint32_t record, const struct lb_flow *flow)
{
	struct service_counts *counts = ctx;

	(void)record;
	if (flow->word & LB_FLOW_COUNTED && flow->service < LB_MAX_SERVICES)
		counts->open[flow->service]++;
	return true;
}

void service_counts_walk(struct load_balancer *lb)
{
	if (!lb->counts || !lb->dataplane)
		return;
	memset(lb->counts->open, 0, sizeof(lb->counts->open));
	dataplane_each_flow(lb->dataplane, 0, count_open, lb->counts);
}

static void read_kernel(struct load_balancer *lb, uint32_t id, struct service_numbers *numbers)
{
	struct lb_traffic traffic = {0};

	if (!lb->dataplane)
		return;
	dataplane_service_traffic(lb->dataplane, id, &traffic);
	numbers->open = lb->counts ? lb->counts->open[id] : 0;
	numbers->opened = traffic.opened;
	numbers->packets = traffic.in.packets + traffic.out.packets;
	numbers->bytes = traffic.in.bytes + traffic.out.bytes;
}

static void read_proxy(struct load_balancer *lb, uint32_t id, struct service_numbers *numbers)
{
	struct proxy_stats stats = {0};

	if (!lb->proxy)
		return;
	proxy_stats(lb->proxy, id, &stats);
	numbers->open = stats.opened - stats.closed;
	numbers->opened = stats.opened;
	numbers->requests = stats.requests;
	numbers->bad_headers = stats.bad_headers;
	numbers->refused = stats.refused;
	numbers->no_room = stats.no_room;
	numbers->bytes = stats.bytes_in + stats.bytes_out;
}

void service_counts_read(struct load_balancer *lb, const struct service_spec *service,
			 struct service_numbers *ret_numbers)
{
	uint32_t id = ids_take(&lb->service_ids, service->name);

	*ret_numbers = (struct service_numbers){0};
	if (id == 0 || id >= LB_MAX_SERVICES)
		return;
	if (service->path == PATH_KERNEL)
		read_kernel(lb, id, ret_numbers);
	else
		read_proxy(lb, id, ret_numbers);
	if (lb->counts)
		ret_numbers->rate_cps = lb->counts->rate_cps[id];
}

uint32_t service_counts_rate(uint64_t before, uint64_t after, uint64_t passed_ms)
{
	/* Fewer than before: the id is another service's now. */
	if (after < before || passed_ms == 0)
		return 0;
	return (uint32_t)(((after - before) * 1000 + passed_ms / 2) / passed_ms);
}

void service_counts_sample(struct load_balancer *lb)
{
	struct service_counts *counts = lb->counts;
	uint64_t now = loop_now_ms(lb->loop);

	if (!counts || !lb->config || now == counts->sampled_ms)
		return;
	for (uint32_t i = 0; i < lb->config->n_services; i++) {
		const struct service_spec *service = &lb->config->services[i];
		uint32_t id = ids_find(&lb->service_ids, service->name);
		struct service_numbers numbers;

		if (id == 0)
			continue;
		service_counts_read(lb, service, &numbers);
		if (counts->sampled_ms)
			counts->rate_cps[id] = service_counts_rate(
				counts->opened[id], numbers.opened, now - counts->sampled_ms);
		counts->opened[id] = numbers.opened;
	}
	counts->sampled_ms = now;
}
