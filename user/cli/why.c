/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <stdio.h>

#include "cli/request.h"

static const struct column columns[] = {
	{"VERDICT", "name"}, {">PACKETS", "packets"}, {">BYTES", "bytes"}, {"WORDS", "words"}, {0},
};

static void print_last(const json_t *verdict)
{
	const json_t *last = json_object_get(verdict, "last");
	struct buffer text = {0};

	if (!json_is_true(json_object_get(verdict, "keeps_head"))) {
		puts("of this verdict no packet is kept: it is given all the time");
		return;
	}
	if (!json_is_object(last)) {
		puts("no packet got it since the kernel path was loaded");
		return;
	}
	buffer_print(&text, "last one: ");
	print_duration(&text, json_integer_value(json_object_get(last, "age_ms")));
	buffer_print(&text, " ago at ");
	print_value(&text, json_object_get(last, "interface"));
	buffer_print(&text, ", ");
	print_value(&text, json_object_get(last, "bytes"));
	buffer_print(&text, " bytes\n  ");
	print_value(&text, json_object_get(last, "packet"));
	puts(text.failed ? "?" : text.ptr);
	buffer_fini(&text);
}

static void print_verdict(const json_t *verdict)
{
	const char *advice = json_string_value(json_object_get(verdict, "advice"));

	printf("%s: %s\n", json_string_value(json_object_get(verdict, "name")),
	       json_string_value(json_object_get(verdict, "words")));
	printf("%" JSON_INTEGER_FORMAT " packets, %" JSON_INTEGER_FORMAT " bytes so far\n",
	       json_integer_value(json_object_get(verdict, "packets")),
	       json_integer_value(json_object_get(verdict, "bytes")));
	print_last(verdict);
	if (advice)
		printf("see: %s\n", advice);
}

static enum cli_exit why(const struct call *call)
{
	struct buffer path = path_of("verdicts", call->n_args ? call->args[0] : NULL);

	if (call->n_args == 0)
		return request_list(call, path, "verdicts", columns);
	return request_print(call, path, print_verdict);
}

static const struct verb verbs[] = {
	{NULL, "[VERDICT]", 0, 1, NULL, "the last packet that got a verdict, in words", why},
	{0},
};
const struct noun why_noun = {"why", "the last packet that got a verdict, in words", verbs};
