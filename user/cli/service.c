/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "cli/request.h"

static const struct column columns[] = {
	{"NAME", "name"},	 {"LISTEN", "listen"},	 {"PROTOCOL", "protocol"},
	{"PATH", "path"},	 {"FORWARD", "forward"}, {"POOLS", "pools"},
	{">OPEN", "open"},	 {">OPENED", "opened"},	 {">NEW/S", "rate_cps"},
	{">PACKETS", "packets"}, {">BYTES", "bytes"},	 {0},
};

static enum cli_exit list(const struct call *call)
{
	return request_list(call, path_of("services", NULL), "services", columns);
}

static enum cli_exit show(const struct call *call)
{
	return request_show(call, path_of("services", call->args[0]), NULL);
}

static enum cli_exit add(const struct call *call)
{
	if (!call_value(call, "listen")) {
		complain("a service needs an address: --listen 10.0.0.100:80");
		return CLI_USAGE;
	}
	return request_change(call, "PUT", path_of("services", call->args[0]), call_body(call),
			      "service '%s' added", call->args[0]);
}

static enum cli_exit set(const struct call *call)
{
	if (!call_changes_something(call))
		return CLI_USAGE;
	return request_change(call, "PATCH", path_of("services", call->args[0]), call_body(call),
			      "service '%s' changed", call->args[0]);
}

static enum cli_exit remove_service(const struct call *call)
{
	return request_change(call, "DELETE", path_of("services", call->args[0]), NULL,
			      "service '%s' removed", call->args[0]);
}

static const struct option options[] = {
	{"listen", "ADDR,...", OPTION_LIST, "listen",
	 "10.0.0.100:80 or '[fd00::1]:80', or several"},
	{"protocol", "P", OPTION_TEXT, "protocol", "tcp, udp or http"},
	{"path", "PATH", OPTION_TEXT, "path", "kernel or proxy"},
	{"forward", "F", OPTION_TEXT, "forward", "kernel path: nat, snat, dsr, ipip or gue"},
	{"pool", "POOL", OPTION_TEXT, "pool", "where its connections go"},
	{"snat-addresses", "ADDR,...", OPTION_LIST, "snat_addresses",
	 "forward snat: the sources that backends see"},
	{"allow", "PREFIX,...", OPTION_LIST, "allow",
	 "kernel path: who may connect, and nobody else; none: everybody"},
	{"deny", "PREFIX,...", OPTION_LIST, "deny",
	 "kernel path: who may not; the longest prefix decides; none: nobody"},
	{"rate", "N/D[/BITS]", OPTION_TEXT, "rate",
	 "kernel path: new connections of a source, 100/1s or 100/1s/24; none: any number"},
	{"no-flow", "WORD", OPTION_TEXT, "no_flow",
	 "nat, snat: what a TCP packet of no connection gets: reset, drop or pass"},
	{"flow-timeouts", "STATE=D,...", OPTION_PAIRS, "flow_timeouts",
	 "kernel path, all services: syn, open, fin, closing, udp-new, udp"},
	DRY_RUN,
	{0},
};

static const struct option remove_options[] = {DRY_RUN, {0}};

static const struct verb verbs[] = {
	{"list", "", 0, 0, NULL, "all services", list},
	{"show", "NAME", 1, 1, NULL, "one service, all of it", show},
	{"add", "NAME", 1, 1, options, "make a service, or replace it", add},
	{"set", "NAME", 1, 1, options, "change what is given, keep the rest", set},
	{"remove", "NAME", 1, 1, remove_options, "remove a service", remove_service},
	{0},
};
const struct noun service_noun = {"service", "what clients connect to", verbs};
