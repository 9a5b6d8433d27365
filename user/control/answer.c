/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* From a collected request to the bytes of its reply. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "control/route.h"
#include "control/server.h"

#define MAX_MESSAGE 1024

struct known_method {
	enum http_method method;
	const char *name;
};

static const struct known_method known_methods[] = {
	{HTTP_GET, "GET"},	 {HTTP_POST, "POST"},	{HTTP_PUT, "PUT"},
	{HTTP_DELETE, "DELETE"}, {HTTP_PATCH, "PATCH"}, {HTTP_OPTIONS, "OPTIONS"},
};

/* A JSON string of any text; what is not UTF-8 loses its bytes above 127. */
static json_t *json_text(const char *text)
{
	json_t *string = json_string(text);
	char copy[MAX_MESSAGE];
	size_t len;

	if (string)
		return string;
	len = strnlen(text, sizeof(copy) - 1);
	for (size_t i = 0; i < len; i++)
		copy[i] = (unsigned char)text[i] < 0x80 ? text[i] : '?';
	copy[len] = '\0';
	return json_string(copy);
}

void control_fail(struct control_reply *reply, unsigned status, const char *code, const char *field,
		  const char *fmt, ...)
{
	char message[MAX_MESSAGE];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(message, sizeof(message), fmt, args);
	va_end(args);
	json_decref(reply->body);
	reply->status = status;
	reply->body =
		json_pack("{s:{s:o, s:o, s:o}}", "error", "code", json_text(code), "message",
			  json_text(message), "field", field ? json_text(field) : json_null());
}

const char *control_param(const struct control_request *request, const char *name)
{
	for (unsigned i = 0; i < request->n_params; i++) {
		if (strcmp(request->params[i].name, name) == 0)
			return request->params[i].value;
	}
	return NULL;
}

/* ---- Writing ------------------------------------------------------------------------------- */

static int append_json(const char *text, size_t len, void *data)
{
	struct buffer *out = data;

	if (out->len + len > CONTROL_MAX_REPLY)
		return -1;
	buffer_append(out, text, len);
	return out->failed ? -1 : 0;
}

/* The body with its newline; too long or not printable: 500 instead. */
static void dump_body(struct control_reply *reply, struct buffer *text)
{
	int err = reply->body ? json_dump_callback(reply->body, append_json, text, JSON_COMPACT)
			      : append_json("{}", 2, text);

	if (err < 0) {
		buffer_clear(text);
		reply->status = 500;
		buffer_print(text, "{\"error\":{\"code\":\"bad_reply\",\"message\":"
				   "\"the reply is too large or out of memory\",\"field\":null}}");
	}
	buffer_append(text, "\n", 1);
}

/* <allow>: the methods for a 405, or NULL. */
static void write_reply(struct connection *connection, struct control_reply *reply,
			const char *allow)
{
	bool head_only = connection->head.method == HTTP_HEAD;
	struct buffer *out = &connection->out;
	struct buffer text = {0};

	dump_body(reply, &text);
	buffer_print(out,
		     "HTTP/1.1 %u %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n",
		     reply->status, http_status_text(reply->status), text.len);
	if (allow)
		buffer_print(out, "Allow: %s\r\n", allow);
	buffer_print(out, "Connection: %s\r\n\r\n", connection->last ? "close" : "keep-alive");
	if (!head_only)
		buffer_append(out, text.ptr, text.len);
	if (text.failed)
		out->failed = true;
	buffer_fini(&text);
	json_decref(reply->body);
	reply->body = NULL;
}

static void write_stream_head(struct connection *connection, const struct control_reply *reply)
{
	connection->last = true;
	buffer_print(&connection->out,
		     "HTTP/1.1 200 %s\r\nContent-Type: text/event-stream\r\n"
		     "Cache-Control: no-store\r\nConnection: close\r\n\r\n",
		     http_status_text(200));
	if (connection->head.method == HTTP_HEAD)
		return;
	connection->feed = reply->feed;
	connection->cursor = reply->cursor;
	connection->control->n_streams++;
}

void connection_refuse(struct connection *connection, unsigned status, const char *code,
		       const char *message)
{
	struct control_reply reply = {0};

	connection->last = true;
	control_fail(&reply, status, code, NULL, "%s", message);
	write_reply(connection, &reply, status == 405 ? "GET, PUT, PATCH, POST, DELETE" : NULL);
}

/* ---- Dispatch ------------------------------------------------------------------------------ */

/* The methods of all routes that match, as Allow wants them. */
static void list_methods(const struct control_route *routes, const struct route_target *target,
			 struct buffer *allow)
{
	const char *args[CONTROL_MAX_ARGS];

	for (const struct control_route *route = routes; route->pattern; route++) {
		if (!route_match(route->pattern, target, args))
			continue;
		for (size_t i = 0; i < sizeof(known_methods) / sizeof(known_methods[0]); i++) {
			if (known_methods[i].method == route->method)
				buffer_print(allow, "%s%s", allow->len ? ", " : "",
					     known_methods[i].name);
		}
		if (route->method == HTTP_GET)
			buffer_print(allow, ", HEAD");
	}
}

static const struct control_route *find_route(const struct control_route *routes,
					      const struct route_target *target,
					      struct control_request *request)
{
	for (const struct control_route *route = routes; route->pattern; route++) {
		if (route->method == request->method &&
		    route_match(route->pattern, target, request->args))
			return route;
	}
	return NULL;
}

/* An empty body is none. */
static int parse_body(const struct buffer *text, struct control_reply *reply, json_t **ret_body)
{
	json_error_t error;
	json_t *body;

	if (text->len == 0)
		return 0;
	body = json_loadb(text->ptr, text->len, JSON_REJECT_DUPLICATES, &error);
	if (!body) {
		control_fail(reply, 400, "bad_json", NULL, "line %d, column %d: %s", error.line,
			     error.column, error.text);
		return -1;
	}
	*ret_body = body;
	return 0;
}

/* Fills <reply>, and <allow> for a 405. */
static void dispatch(struct connection *connection, const struct route_target *target,
		     struct control_reply *reply, struct buffer *allow)
{
	const struct control *control = connection->control;
	enum http_method method = connection->head.method;
	struct control_request request = {
		.method = method == HTTP_HEAD ? HTTP_GET : method,
		.path = connection->target,
		.n_params = target->n_params,
		.has_last_event = connection->has_last_event,
		.last_event = connection->last_event,
	};
	const struct control_route *route;
	json_t *body = NULL;

	memcpy(request.params, target->params, sizeof(request.params));
	route = find_route(control->routes, target, &request);
	if (!route) {
		list_methods(control->routes, target, allow);
		if (allow->len > 0)
			control_fail(reply, 405, "method_not_allowed", NULL,
				     "'%s' has no such method; it has %s", connection->target,
				     allow->ptr);
		else
			control_fail(reply, 404, "not_found", NULL, "there is no '%s' in this API",
				     connection->target);
		return;
	}
	if (parse_body(&connection->body, reply, &body) < 0)
		return;
	request.body = body;
	route->fn(control->ctx, &request, reply); /* may close the server, and us with it */
	json_decref(body);
}

void connection_answer(struct connection *connection)
{
	struct control_reply reply = {.status = 200};
	struct route_target target = {0};
	struct buffer allow = {0};
	const char *problem = route_target_parse(connection->target, &target);
	char *query = strchr(connection->target, '?');

	if (query)
		*query = '\0'; /* what is left is the path */
	if (problem)
		control_fail(&reply, 400, "bad_target", NULL, "%s", problem);
	else
		dispatch(connection, &target, &reply, &allow);
	if (reply.feed && connection->control->n_streams == CONTROL_MAX_STREAMS) {
		reply.feed = NULL;
		control_fail(&reply, 503, "too_many_streams", NULL,
			     "%d streams are open, and no more may be", CONTROL_MAX_STREAMS);
	}
	if (reply.feed)
		write_stream_head(connection, &reply);
	else
		write_reply(connection, &reply, allow.len > 0 ? allow.ptr : NULL);
	buffer_fini(&allow);
	route_target_fini(&target);
}
