/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "cli/request.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum cli_exit ask(const struct call *call, const char *path, json_t *body,
			 json_t **ret_answer)
{
	enum cli_exit r = api_call(call, "POST", path, body, ret_answer);

	if (r == CLI_DONE && call->json)
		print_json(*ret_answer);
	return r;
}

static enum cli_exit check(const struct call *call)
{
	char *path = realpath(call->args[0], NULL); /* lbd's working directory is another */
	json_t *answer = NULL;
	enum cli_exit r;

	if (!path) {
		complain("cannot read '%s': %s", call->args[0], strerror(errno));
		return CLI_USAGE;
	}
	r = ask(call, "/v1/config/check", json_pack("{s:s}", "path", path), &answer);
	free(path);
	if (r != CLI_DONE)
		return r;
	if (!json_is_true(json_object_get(answer, "ok")))
		r = CLI_REFUSED;
	if (!call->json)
		print_lines(json_object_get(answer, "errors"), "");
	if (!call->json && r == CLI_DONE)
		printf("'%s' is good\n", call->args[0]);
	json_decref(answer);
	return r;
}

static enum cli_exit reload(const struct call *call)
{
	json_t *answer = NULL;
	const json_t *changes;
	enum cli_exit r = ask(call, "/v1/config/reload", call_body(call), &answer);

	if (r != CLI_DONE)
		return r;
	changes = json_object_get(answer, "changes");
	if (!call->json && !changes)
		puts(call_value(call, "dry-run") ? "would be taken" : "reloaded");
	if (!call->json) {
		print_lines(changes, "");
		print_lines(json_object_get(answer, "kept"), "kept: ");
		print_lines(json_object_get(answer, "dropped"), "dropped: ");
	}
	json_decref(answer);
	return CLI_DONE;
}

static enum cli_exit show(const struct call *call)
{
	json_t *answer = NULL;
	enum cli_exit r = api_call(call, "GET", "/v1/config", NULL, &answer);

	if (r == CLI_DONE)
		print_json(answer);
	json_decref(answer);
	return r;
}

static const struct option reload_options[] = {
	{"dry-run", NULL, OPTION_FLAG, "dry_run", "say what would change, change nothing"},
	{"discard-runtime", NULL, OPTION_FLAG, "discard_runtime",
	 "forget changes that were made at run time"},
	{0},
};

static const struct verb verbs[] = {
	{"check", "FILE", 1, 1, NULL, "whether lbd would take this file", check},
	{"reload", "", 0, 0, reload_options, "read the configuration file again", reload},
	{"show", "", 0, 0, NULL, "the configuration as it is now", show},
	{0},
};
const struct noun config_noun = {"config", "the configuration file", verbs};
