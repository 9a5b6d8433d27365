/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/addr.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void addresses_are_read_and_written_back(void **state)
{
	static const struct {
		const char *text;
		bool port_needed;
		const char *written;
		bool ipv4, any;
	} rows[] = {
		{"10.0.0.1:80", true, "10.0.0.1:80", true, false},
		{"10.0.0.1", false, "10.0.0.1", true, false},
		{"10.0.0.1:65535", false, "10.0.0.1:65535", true, false},
		{"0.0.0.0:1", true, "0.0.0.0:1", true, true},
		{"[fd00::1]:80", true, "[fd00::1]:80", false, false},
		{"[fd00::1]", false, "fd00::1", false, false},
		{"fd00::1", false, "fd00::1", false, false},
		{"::", false, "::", false, true},
		{"[::]:8080", true, "[::]:8080", false, true},
		{"[FD00:0:0::1]:080", true, "[fd00::1]:80", false, false},
		{"[::ffff:10.0.0.1]:80", true, "10.0.0.1:80", true, false}, /* one form for each */
		{"[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.254]:65535", true,
		 "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe]:65535", false, false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char text[ADDR_TEXT_LEN];
		struct addr addr;
		const char *why = addr_parse(slice_of(rows[i].text), rows[i].port_needed, &addr);

		if (why)
			fail_msg("%s: %s", rows[i].text, why);
		if (addr.port)
			assert_string_equal(addr_format(&addr, text), rows[i].written);
		else
			assert_string_equal(addr_format_ip(&addr, text), rows[i].written);
		assert_int_equal(addr_is_ipv4(&addr), rows[i].ipv4);
		assert_int_equal(addr_is_any(&addr), rows[i].any);
	}
}

static void what_is_no_address_is_refused_and_nothing_written(void **state)
{
	static const struct slice rows[] = {
		SLICE(""),
		SLICE(":"),
		SLICE(":80"),
		SLICE("10.0.0.1"), /* no port */
		SLICE("10.0.0.1:"),
		SLICE("10.0.0.1:0"),
		SLICE("10.0.0.1:65536"),
		SLICE("10.0.0.1:80 "),
		SLICE("10.0.0.1:+80"),
		SLICE("10.0.0.1:http"),
		SLICE("10.0.0.256:80"),
		SLICE("10.0.0:80"),
		SLICE("010.0.0.1:80"),
		SLICE("localhost:80"),
		SLICE("10.0.0.1\0x:80"),
		SLICE("10.0.0.1:8\0"),
		SLICE("fd00::1:80:"),
		SLICE("fd00::1"),
		SLICE("["),
		SLICE("[]"),
		SLICE("[]:80"),
		SLICE("[fd00::1:80"),
		SLICE("[fd00::1]"),
		SLICE("[fd00::1]80"),
		SLICE("[fd00::1]:"),
		SLICE("[fe80::1%eth0]:80"),
		SLICE("[10.0.0.1]:80"),
		SLICE("[fd00::1\0]:80"),
		SLICE("[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255.255.255]:80"),
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct addr addr = {.port = 12345};

		if (!addr_parse(rows[i], true, &addr))
			fail_msg("'%.*s' was taken", SLICE_ARG(rows[i]));
		assert_int_equal(addr.port, 12345);
	}
}

static void addresses_survive_the_kernels_form(void **state)
{
	static const char *const rows[] = {"10.0.0.1:80", "[fd00::1]:443", "0.0.0.0:1", "[::]:2"};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct sockaddr_storage sockaddr;
		struct addr addr, back = {0};

		assert_null(addr_parse(slice_of(rows[i]), true, &addr));
		assert_int_equal(addr_to_sockaddr(&addr, &sockaddr),
				 addr_is_ipv4(&addr) ? sizeof(struct sockaddr_in)
						     : sizeof(struct sockaddr_in6));
		assert_int_equal(addr_from_sockaddr(&sockaddr, &back), 0);
		assert_true(addr_equal(&addr, &back));
		sockaddr.ss_family = AF_UNIX;
		assert_int_equal(addr_from_sockaddr(&sockaddr, &back), -EAFNOSUPPORT);
		assert_true(addr_equal(&addr, &back));
	}
}

static void the_order_is_by_address_then_port(void **state)
{
	static const char *const sorted[] = {"[::]:1",	       "10.0.0.1:80", "10.0.0.1:256",
					     "10.0.0.1:65535", "10.0.0.2:1",  "[fd00::1]:1",
					     "[fd00::1]:2",    "[fd00::2]:1"};
	struct addr addrs[COUNT(sorted)];

	(void)state;
	for (size_t i = 0; i < COUNT(sorted); i++)
		assert_null(addr_parse(slice_of(sorted[i]), true, &addrs[i]));
	for (size_t i = 0; i < COUNT(sorted); i++) {
		for (size_t j = 0; j < COUNT(sorted); j++) {
			int order = addr_compare(&addrs[i], &addrs[j]);

			assert_true(i < j ? order < 0 : i > j ? order > 0 : order == 0);
			assert_int_equal(addr_equal(&addrs[i], &addrs[j]), i == j);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_are_read_and_written_back),
		cmocka_unit_test(what_is_no_address_is_refused_and_nothing_written),
		cmocka_unit_test(addresses_survive_the_kernels_form),
		cmocka_unit_test(the_order_is_by_address_then_port),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
