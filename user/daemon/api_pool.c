/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <stdio.h>
#include <string.h>

#include "daemon/api.h"

static json_t *status_json(const struct health_spec *health)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < health->n_status; i++) {
		char text[16];

		(void)snprintf(text, sizeof(text), "%u-%u", health->status[i].first,
			       health->status[i].last);
		(void)json_array_append_new(list, json_string(text));
	}
	return list;
}

static json_t *health_json(const struct health_spec *health)
{
	json_t *json = json_pack("{s:s,s:i,s:i,s:i,s:i,s:i,s:i}", "type",
				 strtable_name(&health_type_names, (int)health->type),
				 "interval_ms", (int)health->interval_ms, "timeout_ms",
				 (int)health->timeout_ms, "rise", (int)health->rise, "fall",
				 (int)health->fall, "jitter", (int)health->jitter_percent,
				 "backoff_max_ms", (int)health->backoff_max_ms);

	if (health->port)
		(void)json_object_set_new(json, "port", json_integer(health->port));
	if (health->type != HEALTH_HTTP)
		return json;
	(void)json_object_set_new(json, "method", json_string(health->method));
	(void)json_object_set_new(json, "path", json_string(health->path));
	(void)json_object_set_new(json, "host", json_string(health->host));
	(void)json_object_set_new(json, "body", json_string(health->body));
	(void)json_object_set_new(json, "status", status_json(health));
	return json;
}

static json_t *retries_json(const struct retry_spec *retries)
{
	json_t *on = json_array();

	for (int i = 0; i < retry_on_names.count; i++) {
		if (retries->on & 1U << i)
			(void)json_array_append_new(on,
						    json_string(strtable_name(&retry_on_names, i)));
	}
	return json_pack("{s:i,s:o}", "attempts", (int)retries->attempts, "on", on);
}

/* What limits the pool, and how many wait for it. */
static void add_overload(json_t *json, const struct pool_entry *entry)
{
	const struct pool_spec *spec = pool_spec(entry->pool);
	const struct proxy *proxy = entry->lb->proxy;

	(void)json_object_set_new(json, "queue",
				  json_pack("{s:i,s:i}", "size", (int)spec->queue.size,
					    "timeout_ms", (int)spec->queue.timeout_ms));
	(void)json_object_set_new(json, "queued",
				  json_integer(proxy ? proxy_queued(proxy, entry->id) : 0));
	(void)json_object_set_new(json, "retries", retries_json(&spec->retries));
	if (spec->max_connections)
		(void)json_object_set_new(json, "max_connections",
					  json_integer(spec->max_connections));
	if (spec->slow_start_ms)
		(void)json_object_set_new(json, "slow_start_ms", json_integer(spec->slow_start_ms));
	if (spec->passive.failures)
		(void)json_object_set_new(json, "passive",
					  json_pack("{s:i,s:i}", "failures",
						    (int)spec->passive.failures, "window_ms",
						    (int)spec->passive.window_ms));
}

json_t *api_pool_json(struct pool_entry *entry)
{
	const struct pool_spec *spec = pool_spec(entry->pool);
	json_t *backends = json_array();
	json_t *json;

	list_for_each (node, pool_all(entry->pool))
		(void)json_array_append_new(backends, api_backend_json(entry, backend_of(node)));
	json = json_pack("{s:s,s:s,s:o,s:s,s:s,s:s,s:i,s:o}", "name", spec->name, "algorithm",
			 spec->algorithm, "health", health_json(&entry->health), "start",
			 spec->start_up ? "up" : "check", "when_all_down",
			 strtable_name(&when_all_down_names, (int)spec->when_all_down), "on_down",
			 strtable_name(&on_down_names, (int)spec->on_down), "eligible",
			 (int)pool_eligible(entry->pool)->count, "backends", backends);
	add_overload(json, entry);
	if (spec->table_size)
		(void)json_object_set_new(json, "table_size", json_integer(spec->table_size));
	if (entry->shared)
		(void)json_object_set_new(json, "slots",
					  json_integer(entry->shared->balancer->n_slots));
	return json;
}

void api_pools(void *ctx, const struct control_request *request, struct control_reply *reply)
{
	struct load_balancer *lb = ctx;
	json_t *list = json_array();

	(void)request;
	list_for_each (node, &lb->pools)
		(void)json_array_append_new(list, api_pool_json(entry_of(node)));
	reply->body = json_pack("{s:o}", "pools", list);
}

static void change(struct load_balancer *lb, const struct control_request *request,
		   const json_t *patch, struct control_reply *reply)
{
	const char *name = request->args[0];
	const char *const at[] = {"pools", name, NULL};
	struct pool_entry *entry;

	if (api_is_dry(request)) {
		api_rehearse(lb, at, patch, reply);
		return;
	}
	api_change(lb, at, patch, reply);
	entry = entry_find(lb, name);
	if (reply->status < 300 && entry)
		reply->body = api_pool_json(entry);
}

void api_pool_get(void *ctx, const struct control_request *request, struct control_reply *reply)
{
	struct pool_entry *entry = entry_find(ctx, request->args[0]);

	if (entry)
		reply->body = api_pool_json(entry);
	else
		api_not_found(reply, "pool", request->args[0]);
}

void api_pool_put(void *ctx, const struct control_request *request, struct control_reply *reply)
{
	if (api_needs_object(request, reply))
		change(ctx, request, request->body, reply);
}

void api_pool_patch(void *ctx, const struct control_request *request, struct control_reply *reply)
{
	if (!entry_find(ctx, request->args[0]))
		api_not_found(reply, "pool", request->args[0]);
	else if (api_needs_object(request, reply))
		change(ctx, request, request->body, reply);
}

void api_pool_delete(void *ctx, const struct control_request *request, struct control_reply *reply)
{
	if (entry_find(ctx, request->args[0]))
		change(ctx, request, json_null(), reply);
	else
		api_not_found(reply, "pool", request->args[0]);
}
