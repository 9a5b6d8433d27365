/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/api.h"

#define MAX_INTERFACES 64

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

json_t *api_interfaces_json(struct load_balancer *lb)
{
	struct dataplane_interface interfaces[MAX_INTERFACES];
	json_t *list = json_array();
	uint32_t n = 0;

	if (lb->dataplane)
		n = dataplane_interfaces(lb->dataplane, interfaces, MAX_INTERFACES);
	for (uint32_t i = 0; i < n; i++)
		(void)json_array_append_new(
			list, json_pack("{s:s,s:s,s:s}", "name", interfaces[i].name, "hook",
					strtable_name(&hook_names, (int)interfaces[i].hook), "why",
					interfaces[i].why));
	return list;
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
	return json_pack("{s:i,s:i,s:i,s:i}", "services", LB_MAX_SERVICES - 1, "pools",
			 LB_MAX_POOLS - 1, "backends", LB_MAX_BACKENDS - 1, "flows",
			 (int)lb->config->max_flows);
}

void api_status(void *ctx, const struct control_request *request, struct control_reply *reply)
{
	struct load_balancer *lb = ctx;

	(void)request;
	reply->body = json_pack(
		"{s:s,s:I,s:i,s:i,s:b,s:o,s:o,s:o,s:o,s:o,s:o}", "version", lb->version,
		"uptime_ms", (json_int_t)(clock_ms() - lb->started_ms), "pid", (int)getpid(),
		"workers", lb->proxy ? (int)lb->config->workers : 0, "stopping", (int)lb->stopping,
		"kernel_path", kernel_path_json(lb), "interfaces", api_interfaces_json(lb),
		"services", api_services_json(lb), "pools", pools_json(lb), "limits",
		limits_json(lb), "verdicts", verdicts_json(lb));
}

void api_interfaces(void *ctx, const struct control_request *request, struct control_reply *reply)
{
	(void)request;
	reply->body = json_pack("{s:o}", "interfaces", api_interfaces_json(ctx));
}

void api_interface_put(void *ctx, const struct control_request *request,
		       struct control_reply *reply)
{
	const char *const at[] = {"interfaces", request->args[0], NULL};
	json_t *body = request->body ? json_deep_copy(request->body) : json_object();

	api_change(ctx, at, body, reply);
	json_decref(body);
	if (reply->status < 300)
		reply->body = json_pack("{s:o}", "interfaces", api_interfaces_json(ctx));
}

void api_interface_delete(void *ctx, const struct control_request *request,
			  struct control_reply *reply)
{
	const char *const at[] = {"interfaces", request->args[0], NULL};
	struct load_balancer *lb = ctx;

	for (uint32_t i = 0; i < lb->config->n_interfaces; i++) {
		if (strcmp(lb->config->interfaces[i].name, request->args[0]) == 0) {
			api_change(lb, at, json_null(), reply);
			return;
		}
	}
	api_not_found(reply, "attached interface", request->args[0]);
}
