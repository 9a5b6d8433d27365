/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/request.h"

#define POLL_NS 50000000L

static long long number(const json_t *object, const char *key)
{
	return (long long)json_integer_value(json_object_get(object, key));
}

/* How it ended, in the last answer; the new lbd answers with its own pid. */
static enum cli_exit wait_for(const struct call *call, long long pid, json_t **answer)
{
	const struct timespec pause = {.tv_nsec = POLL_NS};

	for (;;) {
		enum cli_exit r;

		if (number(*answer, "pid") == pid)
			return CLI_DONE;
		if (strcmp(json_string_value(json_object_get(*answer, "state")), "failed") == 0)
			return CLI_REFUSED;
		(void)nanosleep(&pause, NULL);
		json_decref(*answer);
		*answer = NULL;
		r = api_call(call, "GET", "/v1/upgrade", NULL, answer);
		if (r != CLI_DONE)
			return r;
	}
}

static enum cli_exit upgrade(const struct call *call)
{
	json_t *body = call_body(call);
	json_t *answer = NULL;
	long long from, to;
	enum cli_exit r;
	char *program;

	if (call->n_args > 0) {
		program = realpath(call->args[0], NULL); /* lbd's working directory is another */
		if (!program) {
			json_decref(body);
			complain("there is no program '%s'", call->args[0]);
			return CLI_USAGE;
		}
		(void)json_object_set_new(body, "program", json_string(program));
		free(program);
	}
	r = api_call(call, "POST", "/v1/upgrade", body, &answer);
	if (r != CLI_DONE)
		return r;
	from = number(answer, "pid");
	to = number(answer, "started");
	r = wait_for(call, to, &answer);
	if (answer && call->json)
		print_json(answer);
	else if (r == CLI_DONE)
		printf("process %lld serves now; process %lld drains\n", to, from);
	else if (answer)
		complain("not upgraded, process %lld goes on: %s", from,
			 json_string_value(json_object_get(answer, "why")));
	json_decref(answer);
	return r;
}

static const struct option options[] = {
	{"timeout", "D", OPTION_DURATION, "timeout",
	 "how long the new one may take to be ready; 10s if not given"},
	{0},
};

static const struct verb verbs[] = {
	{NULL, "[PROGRAM]", 0, 1, options,
	 "replace the running lbd by its program as it is now on disk, or by PROGRAM; no "
	 "connection "
	 "is lost",
	 upgrade},
	{0},
};
const struct noun upgrade_noun = {"upgrade", "replace the running lbd without losing a connection",
				  verbs};
