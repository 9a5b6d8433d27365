/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/prefix.h"

#define NOT_ONE "not a prefix (10.0.0.0/8, fd00::/8) or an address"
#define BITS4	"the length behind '/' must be a number from 0 to 32"
#define BITS6	"the length behind '/' must be a number from 0 to 128"
#define HOST	"has bits behind the prefix: write them as zeros"

static const struct {
	const char *name;
	const char *text;
	const char *expected; /* as it is printed, or why not */
} rows[] = {
	{"an IPv4 prefix", "10.0.0.0/8", "10.0.0.0/8"},
	{"an IPv4 address is a prefix of 32 bits", "10.1.2.3", "10.1.2.3/32"},
	{"all of IPv4", "0.0.0.0/0", "0.0.0.0/0"},
	{"an IPv6 prefix", "fd00::/8", "fd00::/8"},
	{"an IPv6 address is a prefix of 128 bits", "fd00::1", "fd00::1/128"},
	{"all of IPv6", "::/0", "::/0"},
	{"a prefix that ends within a byte", "172.16.0.0/12", "172.16.0.0/12"},
	{"bits behind the prefix", "10.1.0.0/8", HOST},
	{"one bit behind the prefix", "172.24.0.0/12", HOST},
	{"too long for IPv4", "10.0.0.0/33", BITS4},
	{"too long for IPv6", "fd00::/129", BITS6},
	{"no length behind the slash", "10.0.0.0/", BITS4},
	{"a mask is no length", "10.0.0.0/255.0.0.0", BITS4},
	{"a port has no place", "10.0.0.1:80", NOT_ONE},
	{"brackets have no place", "[fd00::1]/128", NOT_ONE},
	{"a name", "localhost", NOT_ONE},
	{"nothing", "", NOT_ONE},
};

static void text_becomes_a_prefix_or_a_reason(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[PREFIX_TEXT_LEN];
		struct prefix prefix;
		const char *why = prefix_parse(slice_of(rows[i].text), &prefix);

		print_message("  %s\n", rows[i].name);
		assert_string_equal(why ? why : prefix_format(&prefix, text), rows[i].expected);
	}
}

static const struct {
	const char *prefix;
	const char *address;
	bool expected;
} members[] = {
	{"10.0.0.0/8", "10.255.0.1", true},    {"10.0.0.0/8", "11.0.0.1", false},
	{"172.16.0.0/12", "172.31.9.9", true}, {"172.16.0.0/12", "172.32.0.0", false},
	{"0.0.0.0/0", "192.0.2.1", true},      {"0.0.0.0/0", "fd00::1", false},
	{"fd00::/8", "fdff::1", true},	       {"fd00::/8", "fe00::1", false},
	{"192.0.2.1", "192.0.2.1", true},      {"192.0.2.1", "192.0.2.2", false},
};

static void prefix_has_the_addresses_of_its_range_alone(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		struct prefix prefix;
		struct addr addr;

		print_message("  %s in %s\n", members[i].address, members[i].prefix);
		assert_null(prefix_parse(slice_of(members[i].prefix), &prefix));
		assert_null(addr_parse(slice_of(members[i].address), false, &addr));
		assert_int_equal(prefix_has(&prefix, addr.ip), members[i].expected);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_becomes_a_prefix_or_a_reason),
		cmocka_unit_test(prefix_has_the_addresses_of_its_range_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
