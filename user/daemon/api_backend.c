/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "daemon/api.h"
#include "pool/ramp.h"

#define WHY_LINE 160

struct found {
	struct pool_entry *entry;
	struct backend *backend;
};

static bool find(struct load_balancer *lb, const struct control_request *request,
		 struct control_reply *reply, struct found *ret_found)
{
	struct found found = {.entry = entry_find(lb, request->args[0])};

	if (!found.entry) {
		api_not_found(reply, "pool", request->args[0]);
		return false;
	}
	found.backend = pool_find(found.entry->pool, request->args[1]);
	if (!found.backend) {
		api_not_found(reply, "backend", request->args[1]);
		return false;
	}
	*ret_found = found;
	return true;
}

static void check_info(const struct backend *backend, struct health_info *ret_info)
{
	const struct backend_check *check = backend->user;

	*ret_info = (struct health_info){0};
	if (check && check->check)
		health_info(check->check, ret_info);
	else if (check)
		*ret_info = (struct health_info){.reason = check->last.reason,
						 .probed_wall_ms = check->last.probed_wall_ms,
						 .good_wall_ms = check->last.good_wall_ms};
}

static json_t *counts_json(struct pool_entry *entry, const struct backend *backend)
{
	const struct lb_live *live = backend->live;
	struct lb_traffic traffic = {0};
	uint64_t in = __atomic_load_n(&live->proxy_bytes_in, __ATOMIC_RELAXED);
	uint64_t out = __atomic_load_n(&live->proxy_bytes_out, __ATOMIC_RELAXED);
	uint64_t opened = __atomic_load_n(&live->opened, __ATOMIC_RELAXED) +
			  __atomic_load_n(&live->proxy_opened, __ATOMIC_RELAXED);
	uint64_t open = live_open(live);
	uint64_t latency = __atomic_load_n(&live->latency_us, __ATOMIC_RELAXED);
	uint64_t syn = __atomic_load_n(&live->syn_us, __ATOMIC_RELAXED); /* the kernel path's */
	uint64_t failed = __atomic_load_n(&live->failed, __ATOMIC_RELAXED) +
			  __atomic_load_n(&live->proxy_failed, __ATOMIC_RELAXED);

	if (entry->lb->dataplane)
		dataplane_backend_traffic(entry->lb->dataplane, backend->id, &traffic);
	return json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "open", (json_int_t)open, "opened",
			 (json_int_t)opened, "closed", (json_int_t)(opened - open), "failed",
			 (json_int_t)failed, "bytes_in", (json_int_t)(in + traffic.in.bytes),
			 "bytes_out", (json_int_t)(out + traffic.out.bytes), "latency_us",
			 (json_int_t)(latency ? latency : syn));
}

/* A whole number but while it starts slowly. */
static json_t *weight_json(const struct backend *backend, bool eligible)
{
	uint32_t hundredths = backend->spec.weight * backend->ramp * 100 / RAMP_STEPS;

	if (!eligible || backend->ramp == RAMP_STEPS)
		return json_integer(eligible ? backend->spec.weight : 0);
	return json_real((double)hundredths / 100);
}

json_t *api_backend_json(struct pool_entry *entry, struct backend *backend)
{
	bool eligible = backend_eligible(entry->pool, backend);
	char addr[ADDR_TEXT_LEN];
	struct health_info info;
	json_t *json;
	json_t *counts = counts_json(entry, backend);

	check_info(backend, &info);
	json = json_pack("{s:s,s:s,s:s,s:i,s:o,s:s,s:s,s:s,s:b,s:I}", "name", backend->spec.name,
			 "address", addr_format(&backend->spec.addr, addr), "pool",
			 pool_spec(entry->pool)->name, "weight", (int)backend->spec.weight,
			 "effective_weight", weight_json(backend, eligible), "admin",
			 strtable_name(&admin_names, (int)backend->spec.admin), "health",
			 strtable_name(&backend_health_names, (int)backend->health),
			 "health_reason", backend->health_reason ? backend->health_reason : "",
			 "eligible", (int)eligible, "checked_at", (json_int_t)info.probed_wall_ms);
	(void)json_object_update(json, counts);
	json_decref(counts);
	if (backend->spec.max_connections)
		(void)json_object_set_new(json, "max_connections",
					  json_integer(backend->spec.max_connections));
	return json;
}

void api_backends(void *ctx, const struct control_request *request, struct control_reply *reply)
{
	struct pool_entry *entry = entry_find(ctx, request->args[0]);
	json_t *list;

	if (!entry) {
		api_not_found(reply, "pool", request->args[0]);
		return;
	}
	list = json_array();
	list_for_each (node, pool_all(entry->pool))
		(void)json_array_append_new(list, api_backend_json(entry, backend_of(node)));
	reply->body = json_pack("{s:o}", "backends", list);
}

void api_backend_get(void *ctx, const struct control_request *request, struct control_reply *reply)
{
	struct found found;

	if (find(ctx, request, reply, &found))
		reply->body = api_backend_json(found.entry, found.backend);
}

static void change(struct load_balancer *lb, const struct control_request *request,
		   const json_t *patch, struct control_reply *reply)
{
	const char *const at[] = {"pools", request->args[0], "backends", request->args[1], NULL};
	struct pool_entry *entry;
	struct backend *backend;

	if (api_is_dry(request)) {
		api_rehearse(lb, at, patch, reply);
		return;
	}
	api_change(lb, at, patch, reply);
	entry = entry_find(lb, request->args[0]);
	backend = entry ? pool_find(entry->pool, request->args[1]) : NULL;
	if (reply->status < 300 && backend)
		reply->body = api_backend_json(entry, backend);
}

void api_backend_put(void *ctx, const struct control_request *request, struct control_reply *reply)
{
	const json_t *name;

	if (!entry_find(ctx, request->args[0])) {
		api_not_found(reply, "pool", request->args[0]);
		return;
	}
	if (!api_needs_object(request, reply))
		return;
	name = json_object_get(request->body, "name");
	if (name &&
	    strcmp(json_string_value(name) ? json_string_value(name) : "", request->args[1]) != 0) {
		control_fail(reply, 400, "invalid", "name", "the name must be '%s', as in the path",
			     request->args[1]);
		return;
	}
	change(ctx, request, request->body, reply);
}

void api_backend_patch(void *ctx, const struct control_request *request,
		       struct control_reply *reply)
{
	struct found found;

	if (find(ctx, request, reply, &found) && api_needs_object(request, reply))
		change(ctx, request, request->body, reply);
}

void api_backend_delete(void *ctx, const struct control_request *request,
			struct control_reply *reply)
{
	struct found found;
	json_t *null = json_null();

	if (find(ctx, request, reply, &found))
		change(ctx, request, null, reply);
}

/* ---- Why ------------------------------------------------------------------------------------ */

static void line(json_t *lines, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void line(json_t *lines, const char *fmt, ...)
{
	char text[WHY_LINE];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	(void)json_array_append_new(lines, json_string(text));
}

static uint64_t seconds_since(uint64_t wall_ms)
{
	uint64_t now = clock_wall_ms();

	return now > wall_ms ? (now - wall_ms) / 1000 : 0;
}

static void why_checks(json_t *lines, const struct backend *backend, const struct health_spec *spec)
{
	struct health_info info;

	check_info(backend, &info);
	if (spec->type == HEALTH_NONE) {
		line(lines, "checks: none");
		return;
	}
	line(lines, "last probe: %s", strtable_name(&health_reason_names, (int)info.reason));
	if (info.good_wall_ms)
		line(lines, "last good probe: %llu s ago",
		     (unsigned long long)seconds_since(info.good_wall_ms));
	else
		line(lines, "last good probe: none yet");
	line(lines, "next probe: in %u ms (every %u ms now)", info.next_in_ms, info.delay_ms);
}

static void why_weight(json_t *lines, const struct backend *backend, bool eligible)
{
	if (eligible && backend->ramp < RAMP_STEPS)
		line(lines, "effective weight: %u of %u sixteenths: it starts slowly",
		     backend->spec.weight * backend->ramp, backend->spec.weight * RAMP_STEPS);
	else
		line(lines, "effective weight: %u", eligible ? backend->spec.weight : 0);
}

void api_backend_why(void *ctx, const struct control_request *request, struct control_reply *reply)
{
	struct found found;
	char reason[WHY_LINE / 2];
	json_t *lines;
	bool eligible;

	if (!find(ctx, request, reply, &found))
		return;
	eligible = backend_eligible(found.entry->pool, found.backend);
	lines = json_array();
	line(lines, "%s for %llu s", eligible ? "eligible" : "not eligible",
	     (unsigned long long)seconds_since(found.backend->eligible_since_wall_ms));
	backend_explain(found.entry->pool, found.backend, reason, sizeof(reason));
	line(lines, "because: %s", reason);
	why_checks(lines, found.backend, &found.entry->health);
	why_weight(lines, found.backend, eligible);
	reply->body = json_pack("{s:b,s:o}", "eligible", (int)eligible, "lines", lines);
}
