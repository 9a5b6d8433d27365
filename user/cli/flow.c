/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "cli/request.h"

static const struct column columns[] = {
	{"SERVICE", "service"},
	{"PROTOCOL", "protocol"},
	{"CLIENT", "client"},
	{"VIP", "vip"},
	{"BACKEND", "backend"},
	{"POOL", "pool"},
	{"FORWARD", "forward"},
	{"STATE", "state"},
	{">IDLE", "idle_ms"},
	{"COUNTED", "counted"},
	{0},
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
	return request_count(call, "GET", filtered(call, "flows/count"), "");
}

static enum cli_exit kill_flows(const struct call *call)
{
	if (!call_value(call, "all") && !call_value(call, "service") &&
	    !call_value(call, "backend") && !call_value(call, "client")) {
		complain("which? --service, --backend or --client; --all for every one");
		return CLI_USAGE;
	}
	return request_count(call, "DELETE", filtered(call, "flows"), "connections ended:");
}

#define FILTERS \
	{"service", "NAME", OPTION_TEXT, "service", "only those of a service"}, \
		{"backend", "NAME", OPTION_TEXT, "backend", \
		 "only those to a backend, name or address"}, \
	{ \
		"client", "ADDR", OPTION_TEXT, "client", \
			"only those of a client: 10.0.0.7, 10.0.0.7:4000, 10.0.0.0/8" \
	}

static const struct option list_options[] = {
	FILTERS,
	{"limit", "N", OPTION_NUMBER, "limit", "at most so many"},
	{0},
};

static const struct option count_options[] = {FILTERS, {0}};

static const struct option kill_options[] = {
	FILTERS,
	{"all", NULL, OPTION_FLAG, "all", "every one there is"},
	{0},
};

static const struct verb verbs[] = {
	{"list", "", 0, 0, list_options, "connections of the kernel path", list},
	{"count", "", 0, 0, count_options, "how many there are", count},
	{"kill", "", 0, 0, kill_options, "end them: both sides get a RST", kill_flows},
	{0},
};
const struct noun flow_noun = {"flow", "connections of the kernel path", verbs};
