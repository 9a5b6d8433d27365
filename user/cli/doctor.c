/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <stdio.h>

#include "cli/request.h"

static const struct column interface_columns[] = {
	{"INTERFACE", "name"},
	{"HOOK", "hook"},
	{"WHY", "why"},
	{0},
};

static void print_text(const json_t *finding, const char *label, const char *key)
{
	struct buffer text = {0};

	print_value(&text, json_object_get(finding, key));
	if (*json_string_value(json_object_get(finding, key)))
		printf("%s%s\n", label, text.failed ? "?" : text.ptr);
	buffer_fini(&text);
}

static void print_finding(const json_t *finding)
{
	printf("%s %s, ", json_string_value(json_object_get(finding, "level")),
	       json_string_value(json_object_get(finding, "code")));
	print_text(finding, "", "object");
	print_text(finding, "  what  ", "what");
	print_text(finding, "  why   ", "why");
	print_text(finding, "  fix   ", "fix");
}

static void print_report(const json_t *report)
{
	const json_t *findings = json_object_get(report, "findings");
	long long problems = (long long)json_integer_value(json_object_get(report, "problems"));

	printf("kernel %s%s\n", json_string_value(json_object_get(report, "kernel")),
	       json_is_true(json_object_get(report, "kernel_path")) ? "" : ", no kernel path");
	print_table(json_object_get(report, "interfaces"), interface_columns,
		    "no interface is attached");
	for (size_t i = 0; i < json_array_size(findings); i++)
		print_finding(json_array_get(findings, i));
	if (problems)
		printf("%lld to mend\n", problems);
	else
		puts("nothing to mend");
}

static enum cli_exit doctor(const struct call *call)
{
	json_t *report = NULL;
	enum cli_exit r = api_call(call, "GET", "/v1/doctor", NULL, &report);

	if (r != CLI_DONE)
		return r;
	if (call->json)
		print_json(report);
	else
		print_report(report);
	if (json_integer_value(json_object_get(report, "problems")) > 0)
		r = CLI_REFUSED;
	json_decref(report);
	return r;
}

static const struct verb verbs[] = {
	{NULL, "", 0, 0, NULL, "what will not work on this machine, and the command that mends it",
	 doctor},
	{0},
};
const struct noun doctor_noun = {"doctor", "what will not work on this machine, and the fix",
				 verbs};
