/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "cli/request.h"

#include <stdio.h>

static const struct column columns[] = {
	{"SERVICE", "service"}, {"PROTOCOL", "protocol"},
	{"CLIENT", "client"},	{"VIP", "vip"},
	{"BACKEND", "backend"}, {"POOL", "pool"},
	{"STATE", "state"},	{">IDLE", "idle_ms"},
	{"COUNTED", "counted"}, {0},
};

static struct buffer filtered(const struct call *call, const char *collection)
{
	struct buffer path = path_of(collection, NULL);
	const struct option *options = call->verb->options;

	for (int i = 0; options[i].name; i++) {
		if (call->values[i])
			path_query(&path, options[i].key, call->values[i]);
	}
	return path;
}

static enum cli_exit list(const struct call *call)
{
	return request_list(call, filtered(call, "flows"), "flows", columns);
}

static enum cli_exit count(const struct call *call)
{
	struct buffer path = filtered(call, "flows/count");
	json_t *answer = NULL;
	enum cli_exit r = api_call(call, "GET", path.ptr, NULL, &answer);

	buffer_fini(&path);
	if (r != CLI_DONE)
		return r;
	if (call->json)
		print_json(answer);
	else
		printf("%" JSON_INTEGER_FORMAT "\n",
		       json_integer_value(json_object_get(answer, "count")));
	json_decref(answer);
	return CLI_DONE;
}

#define FILTERS \
	{"service", "NAME", OPTION_TEXT, "service", "only those of a service"}, \
		{"backend", "NAME", OPTION_TEXT, "backend", \
		 "only those to a backend, name or address"}, \
	{ \
		"client", "ADDR", OPTION_TEXT, "client", "only those of a client" \
	}

static const struct option list_options[] = {
	FILTERS,
	{"limit", "N", OPTION_NUMBER, "limit", "at most so many"},
	{0},
};

static const struct option count_options[] = {FILTERS, {0}};

static const struct verb verbs[] = {
	{"list", "", 0, 0, list_options, "connections of the kernel path", list},
	{"count", "", 0, 0, count_options, "how many there are", count},
	{0},
};
const struct noun flow_noun = {"flow", "connections of the kernel path", verbs};
