/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <stdio.h>

#include "cli/request.h"

static const struct column service_columns[] = {
	{"SERVICE", "name"},
	{"PROTOCOL", "protocol"},
	{"PATH", "path"},
	{">OPEN", "open"},
	{">OPENED", "opened"},
	{">NEW/S", "rate_cps"},
	{">REFUSED", "refused"},
	{">NO ROOM", "no_room"},
	{">PACKETS", "packets"},
	{">BYTES", "bytes"},
	{0},
};

static const struct column verdict_columns[] = {
	{"VERDICT", "name"}, {">PACKETS", "packets"}, {">BYTES", "bytes"}, {"WHAT", "what"}, {0},
};

/* Only where something was. */
static void print_dropped(const json_t *answer, const char *of, const char *what)
{
	const json_t *dropped = json_object_get(json_object_get(answer, of), "dropped");

	if (json_integer_value(dropped) > 0)
		printf("%lld %s were dropped: there were too many\n",
		       (long long)json_integer_value(dropped), what);
}

static void print_stats(const json_t *answer)
{
	const json_t *verdicts = json_object_get(answer, "verdicts");
	json_t *given = json_array();
	const char *name;
	json_t *verdict;

	print_table(json_object_get(answer, "services"), service_columns, "no services");
	json_object_foreach ((json_t *)verdicts, name, verdict) {
		if (json_integer_value(json_object_get(verdict, "packets")) == 0)
			continue;
		(void)json_object_set_new(verdict, "name", json_string(name));
		(void)json_array_append(given, verdict);
	}
	puts("");
	print_table(given, verdict_columns, "no packet was seen by the kernel path");
	json_decref(given);
	print_dropped(answer, "access_log", "lines of access logs");
	print_dropped(answer, "failure_reports", "reports of failing backends");
}

static enum cli_exit stats(const struct call *call)
{
	json_t *answer = NULL;
	enum cli_exit r = api_call(call, "GET", "/v1/stats", NULL, &answer);

	if (r != CLI_DONE)
		return r;
	if (call->json)
		print_json(answer);
	else
		print_stats(answer);
	json_decref(answer);
	return CLI_DONE;
}

static const struct verb verbs[] = {
	{NULL, "", 0, 0, NULL, "counters of services, and what packets got", stats},
	{0},
};
const struct noun stats_noun = {"stats", "counters of services, and what packets got", verbs};
