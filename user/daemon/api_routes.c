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

static json_t *headers_json(const struct headers_spec *headers)
{
	json_t *json = json_object();

	for (uint32_t i = 0; i < headers->n; i++) {
		const struct header_spec *header = &headers->headers[i];
		const char *key = header->op == HEADER_SET ? "set" : "add";
		json_t *part;

		if (header->op == HEADER_REMOVE)
			key = "remove";
		part = json_object_get(json, key);
		if (!part) {
			part = header->op == HEADER_REMOVE ? json_array() : json_object();
			(void)json_object_set_new(json, key, part);
		}
		if (header->op == HEADER_REMOVE)
			(void)json_array_append_new(part, json_string(header->name));
		else
			(void)json_object_set_new(part, header->name, json_string(header->value));
	}
	return json;
}

json_t *api_sticky_json(const struct sticky_spec *sticky)
{
	return json_pack("{s:s,s:s,s:I,s:b,s:b,s:s}", "cookie", sticky->cookie, "path",
			 sticky->path, "max_age_ms", (json_int_t)sticky->max_age_ms, "secure",
			 (int)sticky->secure, "http_only", (int)sticky->http_only, "same_site",
			 strtable_name(&same_site_names, (int)sticky->same_site));
}

static json_t *route_json(const struct route_spec *route)
{
	json_t *json = json_object();
	json_t *timeouts = timeouts_json(&route->timeouts);

	put(json, "host", route->host);
	put(json, "path", route->path);
	put(json, "pool", route->pool);
	if (route->n_methods > 0)
		(void)json_object_set_new(json, "method", methods_json(route));
	if (route->n_shares > 0)
		(void)json_object_set_new(json, "pools", shares_json(route));
	if (route->redirect.code)
		(void)json_object_set_new(json, "redirect",
					  json_pack("{s:s,s:i}", "to", route->redirect.to, "code",
						    (int)route->redirect.code));
	if (route->request_headers.n > 0)
		(void)json_object_set_new(json, "headers", headers_json(&route->request_headers));
	if (route->response_headers.n > 0)
		(void)json_object_set_new(json, "response_headers",
					  headers_json(&route->response_headers));
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
