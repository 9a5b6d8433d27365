/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* GET /v1/errors: the last message of each service that was refused because of its bytes. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "daemon/api.h"
#include "observe/escape.h"
#include "proxy/last_error.h"

/* The newest of all workers. */
struct gathered {
	struct last_error *errors;
	size_t n, room;
	bool no_memory;
	uint32_t service; /* 0: all */
};

static struct last_error *find(struct gathered *all, const struct last_error *like)
{
	for (size_t i = 0; i < all->n; i++) {
		if (all->errors[i].service_id == like->service_id &&
		    all->errors[i].response == like->response)
			return &all->errors[i];
	}
	return NULL;
}

static struct last_error *add(struct gathered *all)
{
	if (all->n == all->room) {
		size_t room = all->room ? all->room * 2 : 16;
		struct last_error *errors = realloc(all->errors, room * sizeof(*errors));

		all->no_memory = !errors;
		if (!errors)
			return NULL;
		all->errors = errors;
		all->room = room;
	}
	return &all->errors[all->n++];
}

static void take(struct gathered *all, const struct last_error *error)
{
	struct last_error *known = find(all, error);
	uint64_t count = error->count + (known ? known->count : 0);

	if (!known) {
		known = add(all);
		if (!known)
			return;
		*known = *error;
	} else if (known->wall_ms < error->wall_ms) {
		*known = *error;
	}
	known->count = count;
}

/* On the thread of a worker, while the control thread waits. */
static void visit(struct worker *worker, void *ctx)
{
	struct gathered *all = ctx;

	list_for_each (node, &worker->errors) {
		const struct last_error *error = container_of(node, struct last_error, node);

		if (all->service == 0 || error->service_id == all->service)
			take(all, error);
	}
}

/* ---- JSON ----------------------------------------------------------------------------------- */

/* Bytes up to and with the next line end, or as many as are easy to read. */
static size_t line_length(struct slice rest)
{
	const char *end = memchr(rest.ptr, '\n', rest.len);
	size_t len = end ? (size_t)(end + 1 - rest.ptr) : rest.len;

	return len > 64 ? 64 : len;
}

static size_t escape(struct slice bytes, char text[static 4 * LAST_ERROR_EXCERPT])
{
	struct http_writer w = {.ptr = text, .size = 4L * LAST_ERROR_EXCERPT};

	escape_text(&w, bytes, w.size);
	return w.len;
}

static json_t *line_json(struct slice line, uint64_t at, uint64_t offset)
{
	char text[4 * LAST_ERROR_EXCERPT];
	size_t len = escape(line, text);
	json_t *json = json_pack("{s:I,s:s%}", "offset", (json_int_t)at, "text", text, len);

	if (offset < at || offset >= at + line.len)
		return json;
	len = escape((struct slice){line.ptr, (size_t)(offset - at)}, text);
	(void)json_object_set_new(json, "mark", json_integer((json_int_t)len));
	len = escape((struct slice){line.ptr + (offset - at), 1}, text);
	(void)json_object_set_new(json, "mark_width", json_integer((json_int_t)len));
	return json;
}

static json_t *excerpt_json(const struct last_error *error)
{
	struct slice rest = {error->excerpt, error->len};
	json_t *list = json_array();

	while (rest.len > 0) {
		size_t len = line_length(rest);
		uint64_t at = error->first + (uint64_t)(rest.ptr - error->excerpt);

		(void)json_array_append_new(
			list, line_json((struct slice){rest.ptr, len}, at, error->offset));
		rest.ptr += len;
		rest.len -= len;
	}
	return list;
}

static json_t *error_json(struct load_balancer *lb, const struct last_error *error)
{
	char peer[ADDR_TEXT_LEN];

	return json_pack("{s:s,s:s,s:I,s:I,s:s,s:s,s:i,s:s,s:I,s:I,s:o}", "service",
			 ids_name(&lb->service_ids, error->service_id), "message",
			 error->response ? "response" : "request", "age_ms",
			 (json_int_t)(clock_wall_ms() - error->wall_ms), "time_ms",
			 (json_int_t)error->wall_ms, "peer", addr_format(&error->peer, peer),
			 "backend", error->backend, "status", (int)error->status, "reason",
			 error->reason, "offset", (json_int_t)error->offset, "count",
			 (json_int_t)error->count, "excerpt", excerpt_json(error));
}

static int newest_first(const void *a, const void *b)
{
	const struct last_error *x = a;
	const struct last_error *y = b;

	return (x->wall_ms < y->wall_ms) - (x->wall_ms > y->wall_ms);
}

static void answer(struct load_balancer *lb, struct gathered *all, struct control_reply *reply)
{
	json_t *list = json_array();

	if (all->n > 0)
		qsort(all->errors, all->n, sizeof(*all->errors), newest_first);
	for (size_t i = 0; i < all->n; i++)
		(void)json_array_append_new(list, error_json(lb, &all->errors[i]));
	reply->body = json_pack("{s:o}", "errors", list);
}

void api_errors(void *ctx, const struct control_request *request, struct control_reply *reply)
{
	struct load_balancer *lb = ctx;
	const char *service = control_param(request, "service");
	struct gathered all = {0};

	if (service) {
		all.service = ids_find(&lb->service_ids, service);
		if (all.service == 0) {
			api_not_found(reply, "service", service);
			return;
		}
	}
	if (lb->proxy)
		proxy_visit(lb->proxy, visit, &all);
	if (all.no_memory)
		control_fail(reply, 500, "out_of_memory", NULL, "out of memory");
	else
		answer(lb, &all, reply);
	free(all.errors);
}
