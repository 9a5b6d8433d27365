/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <unistd.h>

#include "base/clock.h"
#include "daemon/api.h"
#include "daemon/generation.h"

static const char *const verdict_texts[] = {
#define VERDICT_TEXT(name, text, words) [LB_V_##name] = text,
	LB_VERDICTS(VERDICT_TEXT)
#undef VERDICT_TEXT
};

static json_t *verdicts_json(struct load_balancer *lb)
{
	struct lb_count counts[LB_VERDICT_COUNT] = {0};
	json_t *json = json_object();

	if (lb->dataplane)
		dataplane_verdicts(lb->dataplane, counts);
	for (int i = 0; i < LB_VERDICT_COUNT; i++) {
		if (counts[i].packets > 0)
			(void)json_object_set_new(json, verdict_texts[i],
						  json_pack("{s:I,s:I}", "packets",
							    (json_int_t)counts[i].packets, "bytes",
							    (json_int_t)counts[i].bytes));
	}
	return json;
}

static json_t *kernel_path_json(struct load_balancer *lb)
{
	const struct lb_meta *meta;
	uint64_t now = clock_ns();

	if (!lb->dataplane)
		return json_pack("{s:b}", "loaded", 0);
	meta = dataplane_meta(lb->dataplane);
	return json_pack("{s:b,s:b,s:I,s:I,s:I,s:I}", "loaded", 1, "adopted",
			 (int)dataplane_adopted(lb->dataplane), "flows",
			 (json_int_t)meta->live_flows, "max_flows", (json_int_t)meta->max_flows,
			 "heartbeat_age_ms", (json_int_t)((now - meta->heartbeat_at) / 1000000),
			 "sweep_age_ms", (json_int_t)((now - meta->swept_at) / 1000000));
}

static json_t *pools_json(struct load_balancer *lb)
{
	json_t *list = json_array();

	list_for_each (node, &lb->pools) {
		struct pool *pool = entry_of(node)->pool;

		(void)json_array_append_new(list, json_pack("{s:s,s:s,s:i,s:i}", "name",
							    pool_spec(pool)->name, "algorithm",
							    pool_spec(pool)->algorithm, "backends",
							    (int)pool_count(pool), "eligible",
							    (int)pool_eligible(pool)->count));
	}
	return list;
}

static json_t *limits_json(struct load_balancer *lb)
{
	json_t *json = json_pack("{s:i,s:i,s:i,s:i}", "services", LB_MAX_SERVICES - 1, "pools",
				 LB_MAX_POOLS - 1, "backends", LB_MAX_BACKENDS - 1, "flows",
				 (int)lb->config->max_flows);

	if (lb->config->max_connections)
		(void)json_object_set_new(json, "connections",
					  json_integer(lb->config->max_connections));
	return json;
}

void api_status(void *ctx, const struct control_request *request, struct control_reply *reply)
{
	struct load_balancer *lb = ctx;

	(void)request;
	reply->body = json_pack(
		"{s:s,s:I,s:i,s:i,s:b,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "version", lb->version,
		"uptime_ms", (json_int_t)(clock_ms() - lb->started_ms), "pid", (int)getpid(),
		"workers", lb->proxy ? (int)lb->config->workers : 0, "stopping", (int)lb->stopping,
		"draining", generations_json(lb), "kernel_path", kernel_path_json(lb), "interfaces",
		api_interfaces_json(lb), "services", api_services_json(lb), "pools", pools_json(lb),
		"limits", limits_json(lb), "verdicts", verdicts_json(lb));
}
