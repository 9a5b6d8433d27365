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

static enum cli_exit trace(const struct call *call)
{
	json_t *body = call_body(call);
	json_t *answer = NULL;
	enum cli_exit r;

	(void)json_object_set_new(body, "protocol", json_string(call->args[0]));
	(void)json_object_set_new(body, "source", json_string(call->args[1]));
	(void)json_object_set_new(body, "destination", json_string(call->args[2]));
	r = api_call(call, "POST", "/v1/trace", body, &answer);
	if (r != CLI_DONE)
		return r;
	if (call->json)
		print_json(answer);
	else
		print_trace(answer);
	json_decref(answer);
	return CLI_DONE;
}

static const struct option options[] = {
	{"flags", "FLAG,...", OPTION_LIST, "flags", "of TCP: syn (default), ack, rst, fin"},
	{"in", "IFACE", OPTION_TEXT, "interface",
	 "where it comes in; default: the way to its source"},
	{0},
};

static const struct verb verbs[] = {
	{NULL, "tcp|udp SRC:PORT DST:PORT", 3, 3, options,
	 "what would happen to a packet and why; changes nothing", trace},
	{0},
};
const struct noun trace_noun = {"trace", "what would happen to a packet and why", verbs};
