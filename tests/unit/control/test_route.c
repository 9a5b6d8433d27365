/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "control/route.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct row {
	const char *name;
	const char *target;
	const char *pattern;
	const char *problem; /* of the target */
	bool match;
	const char *args[CONTROL_MAX_ARGS];
	struct control_param params[CONTROL_MAX_PARAMS];
};

static const struct row rows[] = {
	{.name = "words match", .target = "/v1/pools", .pattern = "/v1/pools", .match = true},
	{.name = "the root matches", .target = "/", .pattern = "/", .match = true},
	{.name = "a star is one segment",
	 .target = "/v1/pools/web/backends/b1",
	 .pattern = "/v1/pools/*/backends/*",
	 .match = true,
	 .args = {"web", "b1"}},
	{.name = "a star is decoded",
	 .target = "/v1/pools/w%65b%2F%5b::1%5D:80%20+",
	 .pattern = "/v1/pools/*",
	 .match = true,
	 .args = {"web/[::1]:80 +"}},
	{.name = "a star is not empty", .target = "/v1/pools/", .pattern = "/v1/pools/*"},
	{.name = "a star is not two segments", .target = "/v1/pools/a/b", .pattern = "/v1/pools/*"},
	{.name = "a longer pattern does not match", .target = "/v1", .pattern = "/v1/pools"},
	{.name = "a longer word does not match", .target = "/v1/poolsx", .pattern = "/v1/pools"},
	{.name = "a shorter word does not match", .target = "/v1/pool", .pattern = "/v1/pools"},
	{.name = "case matters", .target = "/v1/Pools", .pattern = "/v1/pools"},
	{.name = "an empty segment is one", .target = "/v1//pools", .pattern = "/v1/pools"},
	{.name = "a query is not the path",
	 .target = "/v1/flows?service=web&client=10.0.0.1%3a80&x=a%26b+c&flag&&e=",
	 .pattern = "/v1/flows",
	 .match = true,
	 .params = {{"service", "web"},
		    {"client", "10.0.0.1:80"},
		    {"x", "a&b c"},
		    {"flag", ""},
		    {"e", ""}}},
	{.name = "an escape that is cut off is refused",
	 .target = "/v1/pools/%4",
	 .problem = "the path has a bad percent escape"},
	{.name = "an escape at the end is refused",
	 .target = "/v1/pools/%",
	 .problem = "the path has a bad percent escape"},
	{.name = "an escape that is no number is refused",
	 .target = "/v1/pools/%4g",
	 .problem = "the path has a bad percent escape"},
	{.name = "an escaped NUL is refused",
	 .target = "/v1/pools/web%00x",
	 .problem = "the path has a bad percent escape"},
	{.name = "a bad escape in the query is refused",
	 .target = "/v1/flows?a=%zz",
	 .problem = "the query has a bad percent escape"},
	{.name = "asterisk is no path", .target = "*", .problem = "the path must begin with '/'"},
	{.name = "17 segments are refused",
	 .target = "/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17",
	 .problem = "the path has too many segments"},
	{.name = "17 parameters are refused",
	 .target = "/?1&2&3&4&5&6&7&8&9&10&11&12&13&14&15&16&17",
	 .problem = "the query has too many parameters"},
};

static void test_row(void **state)
{
	const struct row *row = *state;
	const char *args[CONTROL_MAX_ARGS] = {NULL};
	struct route_target target = {0};
	const char *problem = route_target_parse(row->target, &target);

	if (row->problem) {
		assert_non_null(problem);
		assert_string_equal(problem, row->problem);
		assert_null(target.text);
		return;
	}
	assert_null(problem);
	assert_int_equal(route_match(row->pattern, &target, args), row->match);
	for (size_t i = 0; i < CONTROL_MAX_ARGS; i++) {
		assert_int_equal(args[i] != NULL, row->args[i] != NULL);
		if (args[i])
			assert_string_equal(args[i], row->args[i]);
	}
	for (size_t i = 0; i < CONTROL_MAX_PARAMS && row->params[i].name; i++) {
		assert_true(i < target.n_params);
		assert_string_equal(target.params[i].name, row->params[i].name);
		assert_string_equal(target.params[i].value, row->params[i].value);
	}
	route_target_fini(&target);
}

int main(void)
{
	static struct CMUnitTest tests[COUNT(rows)];

	for (size_t i = 0; i < COUNT(rows); i++)
		tests[i] =
			(struct CMUnitTest){rows[i].name, test_row, NULL, NULL, (void *)&rows[i]};
	return cmocka_run_group_tests_name("routes", tests, NULL, NULL);
}
