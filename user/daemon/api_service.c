/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <string.h>

#include "daemon/api.h"

static json_t *listen_json(const struct service_spec *service)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < service->n_listen; i++) {
		char text[ADDR_TEXT_LEN];

		(void)json_array_append_new(list,
					    json_string(addr_format(&service->listen[i], text)));
	}
	return list;
}

static json_t *pools_json(const struct service_spec *service)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < service->n_routes; i++)
		(void)json_array_append_new(list, json_string(service->routes[i].pool));
	return list;
}

static json_t *routes_json(const struct service_spec *service)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < service->n_routes; i++) {
		const struct route_spec *route = &service->routes[i];

		(void)json_array_append_new(list,
					    json_pack("{s:s,s:s,s:s}", "host", route->host, "path",
						      route->path, "pool", route->pool));
	}
	return list;
}

struct tally {
	uint32_t service;
	uint64_t open;
};

static bool tally_flow(void *ctx, uint32_t record, const struct lb_flow *flow)
{
	struct tally *tally = ctx;

	(void)record;
	if (flow->service == tally->service && (flow->word & LB_FLOW_COUNTED))
		tally->open++;
	return true;
}

static json_t *kernel_counts(struct load_balancer *lb, uint32_t id)
{
	struct tally tally = {.service = id};
	struct lb_traffic traffic = {0};

	if (lb->dataplane) {
		dataplane_service_traffic(lb->dataplane, id, &traffic);
		dataplane_each_flow(lb->dataplane, tally_flow, &tally);
	}
	return json_pack("{s:I,s:I,s:I}", "open", (json_int_t)tally.open, "packets",
			 (json_int_t)(traffic.in.packets + traffic.out.packets), "bytes",
			 (json_int_t)(traffic.in.bytes + traffic.out.bytes));
}

static json_t *proxy_counts(struct load_balancer *lb, uint32_t id)
{
	struct proxy_stats stats = {0};

	if (lb->proxy)
		proxy_stats(lb->proxy, id, &stats);
	return json_pack("{s:I,s:I,s:I,s:I}", "open", (json_int_t)(stats.opened - stats.closed),
			 "opened", (json_int_t)stats.opened, "requests", (json_int_t)stats.requests,
			 "bytes", (json_int_t)(stats.bytes_in + stats.bytes_out));
}

json_t *api_service_json(struct load_balancer *lb, const struct service_spec *service)
{
	uint32_t id = ids_take(&lb->service_ids, service->name);
	bool kernel = service->path == PATH_KERNEL;
	json_t *counts = kernel ? kernel_counts(lb, id) : proxy_counts(lb, id);
	json_t *json = json_pack("{s:s,s:o,s:s,s:s,s:b,s:o,s:o}", "name", service->name, "listen",
				 listen_json(service), "protocol",
				 strtable_name(&protocol_names, (int)service->protocol), "path",
				 strtable_name(&path_names, (int)service->path), "enabled",
				 (int)service->enabled, "pools", pools_json(service), "routes",
				 routes_json(service));

	if (kernel)
		(void)json_object_set_new(
			json, "forward",
			json_string(strtable_name(&forward_names, (int)service->forward)));
	(void)json_object_update(json, counts);
	json_decref(counts);
	return json;
}

void api_services(void *ctx, const struct control_request *request, struct control_reply *reply)
{
	struct load_balancer *lb = ctx;
	json_t *list = json_array();

	(void)request;
	for (uint32_t i = 0; i < lb->config->n_services; i++)
		(void)json_array_append_new(list, api_service_json(lb, &lb->config->services[i]));
	reply->body = json_pack("{s:o}", "services", list);
}

void api_service_get(void *ctx, const struct control_request *request, struct control_reply *reply)
{
	struct load_balancer *lb = ctx;
	const struct service_spec *service = config_find_service(lb->config, request->args[0]);

	if (service)
		reply->body = api_service_json(lb, service);
	else
		api_not_found(reply, "service", request->args[0]);
}

static void change(struct load_balancer *lb, const char *name, const json_t *patch,
		   struct control_reply *reply)
{
	const char *const at[] = {"services", name, NULL};
	const struct service_spec *service;

	api_change(lb, at, patch, reply);
	service = config_find_service(lb->config, name);
	if (reply->status < 300 && service)
		reply->body = api_service_json(lb, service);
}

void api_service_put(void *ctx, const struct control_request *request, struct control_reply *reply)
{
	if (api_needs_object(request, reply))
		change(ctx, request->args[0], request->body, reply);
}

void api_service_patch(void *ctx, const struct control_request *request,
		       struct control_reply *reply)
{
	struct load_balancer *lb = ctx;

	if (!config_find_service(lb->config, request->args[0]))
		api_not_found(reply, "service", request->args[0]);
	else if (api_needs_object(request, reply))
		change(lb, request->args[0], request->body, reply);
}

void api_service_delete(void *ctx, const struct control_request *request,
			struct control_reply *reply)
{
	struct load_balancer *lb = ctx;

	if (config_find_service(lb->config, request->args[0]))
		change(lb, request->args[0], json_null(), reply);
	else
		api_not_found(reply, "service", request->args[0]);
}
