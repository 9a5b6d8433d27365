/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/project_service.h"

#define MAX_LISTED 3

static const struct row {
	const char *name;
	const char *allow[MAX_LISTED];
	const char *deny[MAX_LISTED];
	uint32_t flags;
	const char *expected; /* every prefix, '+' allowed, '-' denied */
} rows[] = {
	{"nothing is asked of who is not listed", {0}, {0}, 0, ""},
	{"who is denied", {0}, {"10.0.0.0/8"}, LB_SERVICE_PREFIXES, "-10.0.0.0/8 "},
	{"who is allowed, and nobody else",
	 {"10.0.0.0/8", "fd00::/8"},
	 {"10.1.0.0/16"},
	 LB_SERVICE_PREFIXES | LB_SERVICE_ALLOW_ONLY,
	 "+10.0.0.0/8 +fd00::/8 -10.1.0.0/16 "},
	{"all of IPv6 denied leaves IPv4 alone",
	 {0},
	 {"::/0"},
	 LB_SERVICE_PREFIXES,
	 "-::/0 +0.0.0.0/0 "},
	{"all of IPv6 allowed lets no IPv4 in",
	 {"::/0"},
	 {0},
	 LB_SERVICE_PREFIXES | LB_SERVICE_ALLOW_ONLY,
	 "+::/0 -0.0.0.0/0 "},
	{"all of IPv4 that is listed stays as it is",
	 {"0.0.0.0/0"},
	 {"::/0"},
	 LB_SERVICE_PREFIXES | LB_SERVICE_ALLOW_ONLY,
	 "+0.0.0.0/0 -::/0 "},
	{"a part of IPv6 that has no mapped address",
	 {0},
	 {"8000::/1"},
	 LB_SERVICE_PREFIXES,
	 "-8000::/1 "},
};

static uint32_t fill(const char *const texts[static MAX_LISTED], struct prefix *out)
{
	uint32_t n = 0;

	for (; n < MAX_LISTED && texts[n]; n++)
		assert_null(prefix_parse(slice_of(texts[n]), &out[n]));
	return n;
}

static void prefixes_and_flags_follow_from_allow_and_deny(void **state)
{
	const struct row *row = *state;
	struct prefix allow[MAX_LISTED], deny[MAX_LISTED];
	struct service_spec spec = {.allow = allow, .deny = deny};
	struct wanted_service service = {0};
	struct wanted wanted = {0};
	char got[256] = "";

	spec.n_allow = fill(row->allow, allow);
	spec.n_deny = fill(row->deny, deny);
	assert_int_equal(project_rules(&spec, &service), 0);
	assert_int_equal(project_prefixes(&spec, 7, &wanted), 0);
	for (uint32_t i = 0; i < wanted.n_prefixes; i++) {
		char text[PREFIX_TEXT_LEN];
		size_t len = strlen(got);

		assert_int_equal(wanted.prefixes[i].service, 7);
		(void)snprintf(got + len, sizeof(got) - len, "%c%s ",
			       wanted.prefixes[i].deny ? '-' : '+',
			       prefix_format(&wanted.prefixes[i].prefix, text));
	}
	assert_string_equal(got, row->expected);
	assert_int_equal(service.flags, row->flags);
	wanted_fini(&wanted);
}

static void what_happens_without_a_flow_is_a_flag(void **state)
{
	static const uint32_t expected[] = {
		[NO_FLOW_RESET] = 0,
		[NO_FLOW_DROP] = LB_SERVICE_NO_FLOW_DROP,
		[NO_FLOW_PASS] = LB_SERVICE_NO_FLOW_PASS,
	};

	(void)state;
	for (int no_flow = NO_FLOW_RESET; no_flow <= NO_FLOW_PASS; no_flow++) {
		struct service_spec spec = {.no_flow = (enum no_flow)no_flow};
		struct wanted_service service = {0};

		assert_int_equal(project_rules(&spec, &service), 0);
		assert_int_equal(service.flags, expected[no_flow]);
	}
}

static void timeouts_of_one_service_are_everybodys_and_others_stay(void **state)
{
	struct service_spec first = {.flow_timeouts = {.syn = 5000, .udp_new = 7000}};
	struct service_spec second = {.flow_timeouts = {.open = 9000}};
	struct wanted wanted = {0};

	(void)state;
	project_timeouts(&first, &wanted);
	project_timeouts(&second, &wanted);
	assert_int_equal(wanted.timeout_ms[LB_FLOW_SYN], 5000);
	assert_int_equal(wanted.timeout_ms[LB_FLOW_SYNACK], 5000);
	assert_int_equal(wanted.timeout_ms[LB_FLOW_OPEN], 9000);
	assert_int_equal(wanted.timeout_ms[LB_FLOW_UDP_NEW], 7000);
	assert_int_equal(wanted.timeout_ms[LB_FLOW_UDP_OPEN], 0);
	assert_int_equal(wanted.timeout_ms[LB_FLOW_CLOSING], 0);
}

int main(void)
{
	struct CMUnitTest tests[sizeof(rows) / sizeof(rows[0]) + 2] = {
		cmocka_unit_test(what_happens_without_a_flow_is_a_flag),
		cmocka_unit_test(timeouts_of_one_service_are_everybodys_and_others_stay),
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		tests[i + 2] = (struct CMUnitTest){
			.name = rows[i].name,
			.test_func = prefixes_and_flags_follow_from_allow_and_deny,
			.initial_state = (void *)&rows[i]};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
