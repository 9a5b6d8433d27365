/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <string.h>

#include "daemon/api.h"
#include "daemon/service_counts.h"

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

	for (uint32_t i = 0; i < service->n_routes; i++) {
		const struct route_spec *route = &service->routes[i];

		for (uint32_t j = 0; j < route_n_pools(route); j++)
			(void)json_array_append_new(list, json_string(route_pool_name(route, j)));
	}
	return list;
}

static void add_proxy_numbers(json_t *json, const struct service_spec *service,
			      const struct service_numbers *numbers)
{
	(void)json_object_set_new(json, "requests", json_integer((json_int_t)numbers->requests));
	(void)json_object_set_new(json, "refused", json_integer((json_int_t)numbers->refused));
	(void)json_object_set_new(json, "no_room", json_integer((json_int_t)numbers->no_room));
	if (service->proxy_protocol.accept)
		(void)json_object_set_new(json, "bad_proxy_headers",
					  json_integer((json_int_t)numbers->bad_headers));
}

static json_t *numbers_json(struct load_balancer *lb, const struct service_spec *service)
{
	struct service_numbers numbers;
	json_t *json;

	service_counts_read(lb, service, &numbers);
	json = json_pack("{s:I,s:I,s:I,s:i}", "open", (json_int_t)numbers.open, "opened",
			 (json_int_t)numbers.opened, "bytes", (json_int_t)numbers.bytes, "rate_cps",
			 (int)numbers.rate_cps);
	if (service->path == PATH_KERNEL)
		(void)json_object_set_new(json, "packets",
					  json_integer((json_int_t)numbers.packets));
	else
		add_proxy_numbers(json, service, &numbers);
	return json;
}

/* ---- The kernel path's own keys ------------------------------------------------------------- */

static json_t *prefixes_json(const struct prefix *prefixes, uint32_t n)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < n; i++) {
		char text[PREFIX_TEXT_LEN];

		(void)json_array_append_new(list, json_string(prefix_format(&prefixes[i], text)));
	}
	return list;
}

static json_t *snat_json(const struct service_spec *service)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < service->n_snat; i++) {
		char text[ADDR_TEXT_LEN];

		(void)json_array_append_new(list,
					    json_string(addr_format_ip(&service->snat[i], text)));
	}
	return list;
}

static json_t *rate_json(const struct rate_spec *rate)
{
	if (rate->new_flows == 0)
		return json_null();
	return json_pack("{s:i,s:i,s:{s:i,s:i}}", "new", (int)rate->new_flows, "per_ms",
			 (int)rate->per_ms, "prefix", "ipv4", (int)rate->bits4, "ipv6",
			 (int)rate->bits6);
}

static void add_kernel_keys(json_t *json, const struct service_spec *service)
{
	const char *forward = strtable_name(&forward_names, (int)service->forward);

	(void)json_object_set_new(json, "forward", json_string(forward));
	if (service->forward == FORWARD_SNAT)
		(void)json_object_set_new(json, "snat_addresses", snat_json(service));
	if (service->protocol == PROTOCOL_TCP && service->forward <= FORWARD_SNAT)
		(void)json_object_set_new(
			json, "no_flow",
			json_string(strtable_name(&no_flow_names, (int)service->no_flow)));
	(void)json_object_set_new(json, "allow", prefixes_json(service->allow, service->n_allow));
	(void)json_object_set_new(json, "deny", prefixes_json(service->deny, service->n_deny));
	(void)json_object_set_new(json, "rate", rate_json(&service->rate));
}

static void add_proxy_keys(json_t *json, const struct service_spec *service)
{
	const struct proxy_protocol_spec *spec = &service->proxy_protocol;

	(void)json_object_set_new(json, "proxy_protocol",
				  json_pack("{s:b,s:s}", "accept", (int)spec->accept, "send",
					    strtable_name(&proxy_protocol_names, (int)spec->send)));
}

/* The counts of open flows are those of the last walk. */
static json_t *service_json(struct load_balancer *lb, const struct service_spec *service)
{
	json_t *counts = numbers_json(lb, service);
	json_t *json = json_pack("{s:s,s:o,s:s,s:s,s:b,s:o,s:o}", "name", service->name, "listen",
				 listen_json(service), "protocol",
				 strtable_name(&protocol_names, (int)service->protocol), "path",
				 strtable_name(&path_names, (int)service->path), "enabled",
				 (int)service->enabled, "pools", pools_json(service), "routes",
				 api_routes_json(service));

	if (service->path == PATH_KERNEL)
		add_kernel_keys(json, service);
	if (service->n_trusted > 0)
		(void)json_object_set_new(json, "trusted_proxies",
					  prefixes_json(service->trusted, service->n_trusted));
	if (service->sticky.cookie[0])
		(void)json_object_set_new(json, "sticky", api_sticky_json(&service->sticky));
	else
		add_proxy_keys(json, service);
	(void)json_object_update(json, counts);
	json_decref(counts);
	return json;
}

json_t *api_service_json(struct load_balancer *lb, const struct service_spec *service)
{
	if (service->path == PATH_KERNEL)
		service_counts_walk(lb);
	return service_json(lb, service);
}

json_t *api_services_json(struct load_balancer *lb)
{
	json_t *list = json_array();

	service_counts_walk(lb);
	for (uint32_t i = 0; i < lb->config->n_services; i++)
		(void)json_array_append_new(list, service_json(lb, &lb->config->services[i]));
	return list;
}

void api_services(void *ctx, const struct control_request *request, struct control_reply *reply)
{
	(void)request;
	reply->body = json_pack("{s:o}", "services", api_services_json(ctx));
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

static void change(struct load_balancer *lb, const struct control_request *request,
		   const json_t *patch, struct control_reply *reply)
{
	const char *name = request->args[0];
	const char *const at[] = {"services", name, NULL};
	const struct service_spec *service;

	if (api_is_dry(request)) {
		api_rehearse(lb, at, patch, reply);
		return;
	}
	api_change(lb, at, patch, reply);
	service = config_find_service(lb->config, name);
	if (reply->status < 300 && service)
		reply->body = api_service_json(lb, service);
}

void api_service_put(void *ctx, const struct control_request *request, struct control_reply *reply)
{
	if (api_needs_object(request, reply))
		change(ctx, request, request->body, reply);
}

void api_service_patch(void *ctx, const struct control_request *request,
		       struct control_reply *reply)
{
	struct load_balancer *lb = ctx;

	if (!config_find_service(lb->config, request->args[0]))
		api_not_found(reply, "service", request->args[0]);
	else if (api_needs_object(request, reply))
		change(lb, request, request->body, reply);
}

void api_service_delete(void *ctx, const struct control_request *request,
			struct control_reply *reply)
{
	struct load_balancer *lb = ctx;

	if (config_find_service(lb->config, request->args[0]))
		change(lb, request, json_null(), reply);
	else
		api_not_found(reply, "service", request->args[0]);
}
