/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "cli/request.h"

#include <stdio.h>
#include <stdlib.h>

#define SHOWN 1000 /* without --limit */
#define PAGE  2000 /* asked for at a time: lbd does nothing else while it writes them */

static const struct column columns[] = {
	{">ID", "id"},		{"SERVICE", "service"},
	{"CLIENT", "client"},	{"BACKEND", "backend"},
	{"POOL", "pool"},	{"PROTOCOL", "protocol"},
	{"STATE", "state"},	{">AGE", "age_ms"},
	{">IDLE", "idle_ms"},	{">REQUESTS", "requests"},
	{">IN", "bytes_in"},	{">OUT", "bytes_out"},
	{"REQUEST", "request"}, {0},
};

static struct buffer filtered(const struct call *call, const char *collection)
{
	struct buffer path = path_of(collection, NULL);
	const struct option *options = call->verb->options;

	for (int i = 0; options[i].name; i++) {
		if (call->values[i] && options[i].key)
			path_query(&path, options[i].key, call->values[i]);
	}
	return path;
}

static void query_number(struct buffer *path, const char *name, unsigned long long number)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%llu", number);
	path_query(path, name, text);
}

/* One page behind the other, until <wanted> are there; <ret_more>: there would be more. */
static enum cli_exit fetch(const struct call *call, size_t wanted, json_t *sessions, bool *ret_more)
{
	json_int_t next = 0;

	do {
		struct buffer path = filtered(call, "sessions");
		size_t left = wanted - json_array_size(sessions);
		json_t *answer = NULL;
		enum cli_exit r;

		if (call_value(call, "limit"))
			query_number(&path, "limit", left < PAGE ? left : PAGE);
		if (next)
			query_number(&path, "from", (unsigned long long)next);
		r = api_call(call, "GET", path.ptr, NULL, &answer);
		buffer_fini(&path);
		if (r != CLI_DONE)
			return r;
		(void)json_array_extend(sessions, json_object_get(answer, "sessions"));
		next = json_integer_value(json_object_get(answer, "next"));
		json_decref(answer);
	} while (next && json_array_size(sessions) < wanted);
	*ret_more = next != 0;
	return CLI_DONE;
}

static enum cli_exit list(const struct call *call)
{
	const char *limit = call_value(call, "limit");
	size_t wanted = limit ? strtoul(limit, NULL, 10) : SHOWN;
	json_t *answer = json_pack("{s:[]}", "sessions");
	json_t *sessions = json_object_get(answer, "sessions");
	bool more = false;
	enum cli_exit r;

	if (wanted == 0) {
		complain("--limit: a number from 1");
		json_decref(answer);
		return CLI_USAGE;
	}
	r = fetch(call, wanted, sessions, &more);
	if (r == CLI_DONE && call->json)
		print_json(answer);
	else if (r == CLI_DONE)
		print_table(sessions, columns, "no sessions");
	if (r == CLI_DONE && more && !limit)
		complain("these are the first %zu; more with --limit N", json_array_size(sessions));
	json_decref(answer);
	return r;
}

static enum cli_exit count(const struct call *call)
{
	return request_count(call, "GET", filtered(call, "sessions/count"), "");
}

static enum cli_exit kill_sessions(const struct call *call)
{
	struct buffer path;

	if (call->n_args == 0 && !call_value(call, "all") && !call_value(call, "service") &&
	    !call_value(call, "backend") && !call_value(call, "client")) {
		complain("which? an ID, --service, --backend or --client; --all for every one");
		return CLI_USAGE;
	}
	path = filtered(call, "sessions");
	if (call->n_args > 0)
		path_query(&path, "id", call->args[0]);
	return request_count(call, "DELETE", path, "connections ended:");
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
	{"limit", "N", OPTION_NUMBER, NULL, "at most so many; without it 1000"},
	{0},
};

static const struct option count_options[] = {FILTERS, {0}};

static const struct option kill_options[] = {
	FILTERS,
	{"all", NULL, OPTION_FLAG, "all", "every one there is"},
	DRY_RUN,
	{0},
};

static const struct verb verbs[] = {
	{"list", "", 0, 0, list_options, "connections of the proxy path", list},
	{"count", "", 0, 0, count_options, "how many there are", count},
	{"kill", "[ID]", 0, 1, kill_options, "end them, also in the middle of a response",
	 kill_sessions},
	{0},
};
const struct noun session_noun = {"session", "connections of the proxy path", verbs};
