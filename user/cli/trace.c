/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <stdio.h>
#include <string.h>

#include "cli/request.h"

static const struct column candidate_columns[] = {
	{"CANDIDATE", "name"},
	{"ADDRESS", "address"},
	{"ELIGIBLE", "eligible"},
	{">WEIGHT", "weight"},
	{">OPEN", "open"},
	{">PENDING", "pending"},
	{">SYN-US", "latency_us"},
	{">SLOTS", "slots"},
	{">SCORE", "score"},
	{"CHOSEN", "chosen"},
	{0},
};

static void print_field(const json_t *answer, const char *label, const char *key)
{
	const json_t *value = json_object_get(answer, key);
	struct buffer text = {0};

	if (!value || json_is_null(value))
		return;
	print_value(&text, value);
	printf("%-10s %s\n", label, text.failed ? "?" : text.ptr);
	buffer_fini(&text);
}

static const char *text_of(const json_t *answer, const char *key)
{
	const char *text = json_string_value(json_object_get(answer, key));

	return text ? text : "-";
}

static void print_service(const json_t *answer)
{
	if (!json_is_string(json_object_get(answer, "service")))
		puts("service    none has this address and port");
	else if (json_object_get(answer, "pool"))
		printf("service    %s, forward %s, pool %s, %s: %s\n", text_of(answer, "service"),
		       text_of(answer, "forward"), text_of(answer, "pool"),
		       text_of(answer, "algorithm"), text_of(answer, "takes"));
	else
		printf("service    %s\n", text_of(answer, "service"));
}

static void print_flow(const json_t *answer)
{
	const char *flow = text_of(answer, "flow");

	if (strcmp(flow, "known") == 0)
		printf("flow       known, state %s, this is a packet of the %s\n",
		       text_of(answer, "state"), text_of(answer, "from"));
	else
		printf("flow       %s\n",
		       strcmp(flow, "new") == 0 ? "not known: a new one" : "not known");
}

static void print_trace(const json_t *answer)
{
	const json_t *candidates = json_object_get(answer, "candidates");

	print_field(answer, "packet", "packet");
	printf("comes in   at %s, hook %s\n", text_of(answer, "interface"),
	       text_of(answer, "hook"));
	print_service(answer);
	print_flow(answer);
	if (json_array_size(candidates) > 0)
		print_table(candidates, candidate_columns, "");
	print_field(answer, "backend", "backend");
	print_field(answer, "next hop", "next_hop");
	printf("verdict    %s: %s\n", text_of(answer, "verdict"), text_of(answer, "words"));
	print_field(answer, text_of(answer, "end"), "result");
	if (!json_is_string(json_object_get(answer, "result")))
		printf("%s\n", text_of(answer, "end"));
}

/* ---- Requests ------------------------------------------------------------------------------ */

static const struct column http_columns[] = {
	{"CANDIDATE", "name"},	  {"ADDRESS", "address"}, {">WEIGHT", "weight"}, {">OPEN", "open"},
	{"ELIGIBLE", "eligible"}, {"CHOSEN", "chosen"},	  {"WHY", "why"},	 {0},
};

static void print_route(const json_t *answer)
{
	const json_t *route = json_object_get(answer, "route");
	const json_t *methods = json_object_get(route, "method");
	const char *host = text_of(route, "host");
	const char *path = text_of(route, "path");

	if (!json_is_object(route)) {
		puts("route      none");
		return;
	}
	printf("client     %s%s\n", text_of(answer, "client"),
	       json_is_true(json_object_get(answer, "trusted")) ? ", by a trusted proxy" : "");
	printf("route      %lld: host %s, path %s, method ",
	       (long long)json_integer_value(json_object_get(route, "index")), *host ? host : "any",
	       *path ? path : "any");
	for (size_t i = 0; i < json_array_size(methods); i++)
		printf("%s%s", i > 0 ? " " : "", json_string_value(json_array_get(methods, i)));
	puts(json_array_size(methods) > 0 ? "" : "any");
}

static void print_head(const json_t *answer)
{
	const char *head = json_string_value(json_object_get(answer, "head"));
	const char *greeting = json_string_value(json_object_get(answer, "proxy_protocol"));

	if (!head)
		return;
	if (greeting)
		printf("behind a PROXY header, version %s\n", greeting + 1);
	for (; *head; head++)
		if (*head != '\r')
			putchar(*head);
}

static void print_end(const json_t *answer)
{
	const char *end = text_of(answer, "end");
	long long status = (long long)json_integer_value(json_object_get(answer, "status"));

	if (strcmp(end, "refused") == 0) {
		printf("refused    ");
		if (status)
			printf("%lld ", status);
		printf("%s: %s\n", text_of(answer, "reason"), text_of(answer, "words"));
		print_field(answer, "offset", "offset");
	} else if (strcmp(end, "redirected") == 0) {
		printf("redirected %lld %s\n", status, text_of(answer, "location"));
	} else if (strcmp(end, "queued") == 0) {
		printf("queued     all eligible backends are full: it waits for one with room, "
		       "behind %lld\n",
		       (long long)json_integer_value(json_object_get(answer, "ahead")));
	} else if (strcmp(end, "answered") == 0) {
		printf("answered   %lld by lbd: Max-Forwards is 0\n", status);
	} else {
		printf("forwarded  %s\n", text_of(answer, "backend"));
	}
}

/* A new connection of the client is not accepted at once. */
static void print_waits(const json_t *answer)
{
	const char *waits = json_string_value(json_object_get(answer, "waits"));

	if (waits)
		printf("waits      %s: a new connection is accepted when one has ended\n", waits);
}

static void print_sticky(const json_t *answer)
{
	const json_t *sticky = json_object_get(answer, "sticky");
	const char *backend = json_string_value(json_object_get(sticky, "backend"));

	if (!sticky)
		return;
	printf("sticky     cookie %s", text_of(sticky, "cookie"));
	if (backend)
		printf(" names %s\n", backend);
	else if (strcmp(text_of(sticky, "is"), "no_cookie") == 0)
		puts(": the request has none");
	else
		puts(" names no backend it may go to");
}

static void print_http(const json_t *answer)
{
	const json_t *candidates = json_object_get(answer, "candidates");

	print_field(answer, "service", "service");
	print_waits(answer);
	print_route(answer);
	if (json_object_get(answer, "pool"))
		printf("pool       %s, %s\n", text_of(answer, "pool"),
		       text_of(answer, "algorithm"));
	if (json_array_size(candidates) > 0)
		print_table(candidates, http_columns, "");
	print_sticky(answer);
	print_end(answer);
	print_head(answer);
}

static void ask_http(const struct call *call, json_t *body)
{
	const char *header = call_value(call, "header");
	const char *cookie = call_value(call, "cookie");
	json_t *headers = json_array();

	(void)json_object_set_new(body, "method", json_string(call->args[1]));
	(void)json_object_set_new(body, "url", json_string(call->args[2]));
	if (header)
		(void)json_array_append_new(headers, json_string(header));
	if (cookie)
		(void)json_array_append_new(headers, json_sprintf("Cookie: %s", cookie));
	(void)json_object_set_new(body, "headers", headers);
}

/* An option of the other kind of question would say nothing: it is a mistake. */
static const char *misplaced(const struct call *call, bool http)
{
	static const char *const of_http[] = {"from", "service", "header", "cookie", NULL};
	static const char *const of_packets[] = {"flags", "in", NULL};

	for (const char *const *name = http ? of_packets : of_http; *name; name++)
		if (call_value(call, *name))
			return *name;
	return NULL;
}

static enum cli_exit trace(const struct call *call)
{
	bool http = strcmp(call->args[0], "http") == 0;
	const char *stray = misplaced(call, http);
	json_t *body, *answer = NULL;
	enum cli_exit r;

	if (stray) {
		complain("--%s is not for 'trace %s'", stray, call->args[0]);
		return CLI_USAGE;
	}
	if (http && !call_value(call, "from")) {
		complain("--from is needed: whose request it is, such as --from 10.0.0.2");
		return CLI_USAGE;
	}
	body = call_body(call);
	(void)json_object_set_new(body, "protocol", json_string(call->args[0]));
	if (http) {
		ask_http(call, body);
	} else {
		(void)json_object_set_new(body, "source", json_string(call->args[1]));
		(void)json_object_set_new(body, "destination", json_string(call->args[2]));
	}
	r = api_call(call, "POST", "/v1/trace", body, &answer);
	if (r != CLI_DONE)
		return r;
	if (call->json)
		print_json(answer);
	else if (http)
		print_http(answer);
	else
		print_trace(answer);
	json_decref(answer);
	return CLI_DONE;
}

static const struct option options[] = {
	{"flags", "FLAG,...", OPTION_LIST, "flags", "of TCP: syn (default), ack, rst, fin"},
	{"in", "IFACE", OPTION_TEXT, "interface",
	 "where it comes in; default: the way to its source"},
	{"from", "IP", OPTION_TEXT, "from", "http: the client; with a port, if that matters"},
	{"service", "NAME", OPTION_TEXT, "service", "http: where the URL does not say it"},
	{"header", "'NAME: VALUE'", OPTION_TEXT, NULL, "http: one more header of the request"},
	{"cookie", "NAME=VALUE", OPTION_TEXT, NULL, "http: a cookie of the request"},
	{0},
};

static const struct verb verbs[] = {
	{NULL, "tcp|udp SRC:PORT DST:PORT | http METHOD URL --from IP", 3, 3, options,
	 "what would happen to a packet, or a request, and why; changes nothing", trace},
	{0},
};
const struct noun trace_noun = {"trace", "what would happen to a packet, or a request, and why",
				verbs};
