/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Routes of a service, in the words of the configuration: what is not set is not shown. */
#include "daemon/api.h"

static void put(json_t *json, const char *key, const char *text)
{
	if (text[0])
		(void)json_object_set_new(json, key, json_string(text));
}

static json_t *methods_json(const struct route_spec *route)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < route->n_methods; i++)
		(void)json_array_append_new(list, json_string(route->methods[i]));
	return list;
}

static json_t *shares_json(const struct route_spec *route)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < route->n_shares; i++)
		(void)json_array_append_new(list,
					    json_pack("{s:s,s:i}", "pool", route->shares[i].pool,
						      "weight", (int)route->shares[i].weight));
	return list;
}

static json_t *timeouts_json(const struct timeouts_spec *timeouts)
{
	const struct {
		const char *key;
		uint32_t ms;
	} all[] = {
		{"client_body_ms", timeouts->client_body},
		{"connect_ms", timeouts->connect},
		{"response_header_ms", timeouts->response_header},
		{"response_idle_ms", timeouts->response_idle},
		{"tunnel_ms", timeouts->tunnel},
		{"queue_ms", timeouts->queue},
	};
	json_t *json = json_object();

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (all[i].ms > 0)
			(void)json_object_set_new(json, all[i].key,
						  json_integer((json_int_t)all[i].ms));
	}
	return json;
}

static json_t *route_json(const struct route_spec *route)
{
	json_t *json = json_pack("{s:s,s:s}", "host", route->host, "path", route->path);
	json_t *timeouts = timeouts_json(&route->timeouts);

	put(json, "pool", route->pool);
	if (route->n_methods > 0)
		(void)json_object_set_new(json, "method", methods_json(route));
	if (route->n_shares > 0)
		(void)json_object_set_new(json, "pools", shares_json(route));
	if (route->redirect.code)
		(void)json_object_set_new(json, "redirect",
					  json_pack("{s:s,s:i}", "to", route->redirect.to, "code",
						    (int)route->redirect.code));
	if (json_object_size(timeouts) > 0)
		(void)json_object_set(json, "timeouts", timeouts);
	json_decref(timeouts);
	return json;
}

json_t *api_routes_json(const struct service_spec *service)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < service->n_routes; i++)
		(void)json_array_append_new(list, route_json(&service->routes[i]));
	return list;
}
