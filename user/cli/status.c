/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <stdio.h>

#include "cli/api.h"
#include "cli/backend.h"

static const struct column service_columns[] = {
	{"SERVICE", "name"}, {"LISTEN", "listen"},   {"PROTOCOL", "protocol"},
	{"PATH", "path"},    {"FORWARD", "forward"}, {"POOLS", "pools"},
	{">OPEN", "open"},   {">OPENED", "opened"},  {0},
};

static const struct column interface_columns[] = {
	{"INTERFACE", "name"},
	{"HOOK", "hook"},
	{"WHY", "why"},
	{0},
};

static void print_ms(const json_t *ms)
{
	struct buffer text = {0};

	if (json_is_integer(ms))
		print_duration(&text, json_integer_value(ms));
	else
		buffer_print(&text, "-");
	printf("%s", text.failed ? "?" : text.ptr);
	buffer_fini(&text);
}

static long long number(const json_t *object, const char *key)
{
	return (long long)json_integer_value(json_object_get(object, key));
}

static void print_kernel_path(const json_t *kernel)
{
	if (!json_is_true(json_object_get(kernel, "loaded"))) {
		puts("kernel path: not loaded");
		return;
	}
	printf("kernel path: %lld of %lld flows, last heartbeat ", number(kernel, "flows"),
	       number(kernel, "max_flows"));
	print_ms(json_object_get(kernel, "heartbeat_age_ms"));
	printf(" ago, last sweep ");
	print_ms(json_object_get(kernel, "sweep_age_ms"));
	puts(" ago");
}

static void print_draining(const json_t *list)
{
	size_t i;
	json_t *process;

	json_array_foreach ((json_t *)list, i, process) {
		printf("process %lld drains: %lld connections left, ended in ",
		       number(process, "pid"), number(process, "sessions"));
		print_ms(json_object_get(process, "deadline_ms"));
		puts(" at the latest");
	}
}

/* Only what happened. */
static void print_verdicts(const json_t *verdicts)
{
	const char *name;
	json_t *count;

	json_object_foreach ((json_t *)verdicts, name, count) {
		if (number(count, "packets") > 0)
			printf("%-16s %12lld packets %14lld bytes\n", name,
			       number(count, "packets"), number(count, "bytes"));
	}
}

static void print_limits(const json_t *limits)
{
	const char *name;
	json_t *limit;

	if (json_object_size(limits) == 0)
		return;
	printf("limits:");
	json_object_foreach ((json_t *)limits, name, limit)
		printf(" %s %lld", name, (long long)json_integer_value(limit));
	puts("");
}

static void print_status(const json_t *status)
{
	struct buffer version = {0};

	print_value(&version, json_object_get(status, "version"));
	printf("lbd %s, pid %lld, up ", version.failed ? "?" : version.ptr, number(status, "pid"));
	print_ms(json_object_get(status, "uptime_ms"));
	printf(", %lld workers\n", number(status, "workers"));
	buffer_fini(&version);
	print_draining(json_object_get(status, "draining"));
	print_kernel_path(json_object_get(status, "kernel_path"));
	print_limits(json_object_get(status, "limits"));
	puts("");
	print_table(json_object_get(status, "interfaces"), interface_columns, "no interfaces");
	puts("");
	print_table(json_object_get(status, "services"), service_columns, "no services");
	puts("");
	print_pools(json_object_get(status, "pools"));
	puts("");
	print_verdicts(json_object_get(status, "verdicts"));
}

static enum cli_exit show(const struct call *call)
{
	json_t *answer = NULL;
	enum cli_exit r = api_call(call, "GET", "/v1/status", NULL, &answer);

	if (r != CLI_DONE)
		return r;
	if (call->json)
		print_json(answer);
	else
		print_status(answer);
	json_decref(answer);
	return CLI_DONE;
}

static const struct verb verbs[] = {
	{NULL, "", 0, 0, NULL, "what lbd is doing", show},
	{0},
};
const struct noun status_noun = {"status", "what lbd is doing", verbs};
