/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <stdio.h>

#include "cli/request.h"

static const struct column columns[] = {
	{"POOL", "pool"},	{"BACKEND", "name"},	  {"ADDRESS", "address"},
	{">OPEN", "open"},	{">COUNTED", "counted"},  {">DRIFT", "drift"},
	{"SETTLED", "settled"}, {"ESTIMATE", "estimate"}, {0},
};

static bool holds(const json_t *answer, const char *key)
{
	const json_t *backends = json_object_get(answer, "backends");

	for (size_t i = 0; i < json_array_size(backends); i++) {
		if (json_is_true(json_object_get(json_array_get(backends, i), key)))
			return true;
	}
	return false;
}

static void print_audit(const json_t *answer)
{
	print_table(json_object_get(answer, "backends"), columns, "no backends");
	printf("\n%" JSON_INTEGER_FORMAT " flows, drift %" JSON_INTEGER_FORMAT "\n",
	       json_integer_value(json_object_get(answer, "flows")),
	       json_integer_value(json_object_get(answer, "drift")));
	if (!json_is_true(json_object_get(answer, "settled")))
		puts("not settled: connections came and went while it was counted; ask again");
	if (holds(answer, "estimate"))
		puts("estimate: replies of dsr, ipip and gue go another way, so that open is what "
		     "clients' packets tell");
}

/* A drift at rest is a fault of lbd: scripts are to notice. */
static enum cli_exit audit(const struct call *call)
{
	json_t *answer = NULL;
	enum cli_exit r = api_call(call, "POST", "/v1/audit", NULL, &answer);

	if (r != CLI_DONE)
		return r;
	if (call->json)
		print_json(answer);
	else
		print_audit(answer);
	if (json_integer_value(json_object_get(answer, "drift")) != 0 &&
	    json_is_true(json_object_get(answer, "settled"))) {
		complain("open connections and the flow table differ");
		r = CLI_REFUSED;
	}
	json_decref(answer);
	return r;
}

static const struct verb verbs[] = {
	{NULL, "", 0, 0, NULL, "recount the flows, and print where counts differ", audit},
	{0},
};
const struct noun audit_noun = {"audit", "recount the flows, and print where counts differ", verbs};
