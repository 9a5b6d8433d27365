/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "cli/request.h"

#include <stdio.h>
#include <string.h>

/* The row of this interface in the answer, or NULL. */
static const json_t *row_of(const json_t *answer, const char *ifname)
{
	const json_t *rows = json_object_get(answer, "interfaces");
	json_t *row;
	size_t i;

	json_array_foreach ((json_t *)rows, i, row) {
		const char *name = json_string_value(json_object_get(row, "name"));

		if (name && strcmp(name, ifname) == 0)
			return row;
	}
	return NULL;
}

static enum cli_exit attach(const struct call *call)
{
	struct buffer path = path_of("interfaces", call->args[0]);
	bool dry = call_value(call, "dry-run") != NULL;
	json_t *body = call_body(call);
	json_t *answer = NULL;
	enum cli_exit r;

	if (!call_value(call, "hook"))
		(void)json_object_set_new(body, "hook", json_string("auto"));
	if (dry)
		path_query(&path, "dry_run", "1");
	r = api_call(call, "PUT", path.ptr, body, &answer);
	buffer_fini(&path);
	if (r != CLI_DONE)
		return r;
	if (call->json) {
		print_json(answer);
	} else {
		const json_t *row = row_of(answer, call->args[0]);
		const char *hook = json_string_value(json_object_get(row, "hook"));
		const char *why = json_string_value(json_object_get(row, "why"));

		printf("%s '%s'%s%s%s%s\n", dry ? "would attach to" : "attached to", call->args[0],
		       hook ? " at hook " : "", hook ? hook : "", why ? ": " : "", why ? why : "");
	}
	json_decref(answer);
	return CLI_DONE;
}

static enum cli_exit detach(const struct call *call)
{
	return request_change(call, "DELETE", path_of("interfaces", call->args[0]), NULL,
			      "detached from '%s'", call->args[0]);
}

static const struct option attach_options[] = {
	{"hook", "HOOK", OPTION_TEXT, "hook", "auto (default), native, generic or tc"},
	DRY_RUN,
	{0},
};

static const struct option detach_options[] = {DRY_RUN, {0}};

static const struct verb attach_verbs[] = {
	{NULL, "IFACE", 1, 1, attach_options, "balance packets that come in at an interface",
	 attach},
	{0},
};
const struct noun attach_noun = {"attach", "balance packets that come in at an interface",
				 attach_verbs};

static const struct verb detach_verbs[] = {
	{NULL, "IFACE", 1, 1, detach_options, "stop doing so", detach},
	{0},
};
const struct noun detach_noun = {"detach", "stop doing so", detach_verbs};
