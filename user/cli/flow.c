/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "cli/listing.h"

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

static enum cli_exit list(const struct call *call)
{
	return listing_show(call, &(struct listing){"flows", columns, "no flows"});
}

static enum cli_exit count(const struct call *call)
{
	return request_count(call, "GET", listing_path(call, "flows/count"), "");
}

static enum cli_exit kill_flows(const struct call *call)
{
	if (!listing_chosen(call)) {
		complain("which? --service, --backend or --client; --all for every one");
		return CLI_USAGE;
	}
	return request_count(call, "DELETE", listing_path(call, "flows"), "connections ended:");
}

static const struct verb verbs[] = {
	{"list", "", 0, 0, listing_show_options, "connections of the kernel path", list},
	{"count", "", 0, 0, listing_count_options, "how many there are", count},
	{"kill", "", 0, 0, listing_kill_options, "end them: both sides get a RST", kill_flows},
	{0},
};
const struct noun flow_noun = {"flow", "connections of the kernel path", verbs};
