/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "cli/listing.h"

static const struct column columns[] = {
	{">ID", "id"},
	{"SERVICE", "service"},
	{"CLIENT", "client"},
	{"BACKEND", "backend"},
	{"POOL", "pool"},
	{"PROTOCOL", "protocol"},
	{"STATE", "state"},
	{">AGE", "age_ms"},
	{">IDLE", "idle_ms"},
	{">REQUESTS", "requests"},
	{">IN", "bytes_in"},
	{">OUT", "bytes_out"},
	{">PID", "pid"},
	{"REQUEST", "request"},
	{0},
};

static enum cli_exit list(const struct call *call)
{
	return listing_show(call, &(struct listing){"sessions", columns, "no sessions"});
}

static enum cli_exit count(const struct call *call)
{
	return request_count(call, "GET", listing_path(call, "sessions/count"), "");
}

static enum cli_exit kill_sessions(const struct call *call)
{
	struct buffer path;

	if (call->n_args == 0 && !listing_chosen(call)) {
		complain("which? an ID, --service, --backend or --client; --all for every one");
		return CLI_USAGE;
	}
	path = listing_path(call, "sessions");
	if (call->n_args > 0)
		path_query(&path, "id", call->args[0]);
	return request_count(call, "DELETE", path, "connections ended:");
}

static const struct verb verbs[] = {
	{"list", "", 0, 0, listing_show_options, "connections of the proxy path", list},
	{"count", "", 0, 0, listing_count_options, "how many there are", count},
	{"kill", "[ID]", 0, 1, listing_kill_options, "end them, also in the middle of a response",
	 kill_sessions},
	{0},
};
const struct noun session_noun = {"session", "connections of the proxy path", verbs};
