/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "cli/request.h"

#include <stdio.h>

#include "cli/backend.h"

static const struct column columns[] = {
	{"NAME", "name"},	   {"ALGORITHM", "algorithm"},
	{"HEALTH", "health.type"}, {">BACKENDS", "n_backends"},
	{">ELIGIBLE", "eligible"}, {0},
};

/* The API gives the number of backends or the backends themselves. */
static void count_backends(json_t *pools)
{
	for (size_t i = 0; i < json_array_size(pools); i++) {
		json_t *pool = json_array_get(pools, i);
		json_t *backends = json_object_get(pool, "backends");

		if (json_is_array(backends))
			(void)json_object_set_new(
				pool, "n_backends",
				json_integer((json_int_t)json_array_size(backends)));
		else if (backends)
			(void)json_object_set(pool, "n_backends", backends);
	}
}

void print_pools(json_t *pools)
{
	count_backends(pools);
	print_table(pools, columns, "no pools");
}

static enum cli_exit list(const struct call *call)
{
	json_t *answer = NULL;
	enum cli_exit r = api_call(call, "GET", "/v1/pools", NULL, &answer);

	if (r != CLI_DONE)
		return r;
	if (call->json)
		print_json(answer);
	else
		print_pools(json_object_get(answer, "pools"));
	json_decref(answer);
	return CLI_DONE;
}

static enum cli_exit show(const struct call *call)
{
	enum cli_exit r = request_show(call, path_of("pools", call->args[0]), "backends");

	if (r != CLI_DONE || call->json)
		return r;
	(void)putchar('\n');
	return request_list(call, path_of_backend(call->args[0], NULL), "backends",
			    backend_columns + 1);
}

static enum cli_exit add(const struct call *call)
{
	return request_change(call, "PUT", path_of("pools", call->args[0]), call_body(call),
			      "pool '%s' added", call->args[0]);
}

static enum cli_exit set(const struct call *call)
{
	if (!call_changes_something(call))
		return CLI_USAGE;
	return request_change(call, "PATCH", path_of("pools", call->args[0]), call_body(call),
			      "pool '%s' changed", call->args[0]);
}

static enum cli_exit remove_pool(const struct call *call)
{
	return request_change(call, "DELETE", path_of("pools", call->args[0]), NULL,
			      "pool '%s' removed", call->args[0]);
}

static const struct option options[] = {
	{"algorithm", "A", OPTION_TEXT, "algorithm",
	 "round-robin, weighted-round-robin, least-connections, maglev, ..."},
	{"health-type", "T", OPTION_TEXT, "health.type", "none, tcp or http"},
	{"health-path", "PATH", OPTION_TEXT, "health.path", "http: what is asked for"},
	{"health-interval", "D", OPTION_DURATION, "health.interval", "between checks: 2s"},
	{"health-timeout", "D", OPTION_DURATION, "health.timeout", "of one check: 1s"},
	{"rise", "N", OPTION_NUMBER, "health.rise", "successes until up"},
	{"fall", "N", OPTION_NUMBER, "health.fall", "failures until down"},
	{"on-down", "WORD", OPTION_TEXT, "on-down",
	 "flows and sessions of a backend that goes down: keep or reset"},
	{"table-size", "N", OPTION_NUMBER, "table-size",
	 "slots of maglev and source-hash: 251..65521"},
	DRY_RUN,
	{0},
};

static const struct option remove_options[] = {DRY_RUN, {0}};

static const struct verb verbs[] = {
	{"list", "", 0, 0, NULL, "all pools", list},
	{"show", "NAME", 1, 1, NULL, "one pool and its backends", show},
	{"add", "NAME", 1, 1, options, "make a pool, or replace it", add},
	{"set", "NAME", 1, 1, options, "change what is given, keep the rest", set},
	{"remove", "NAME", 1, 1, remove_options, "remove a pool and its backends", remove_pool},
	{0},
};
const struct noun pool_noun = {"pool", "backends that share an algorithm and a health check",
			       verbs};
