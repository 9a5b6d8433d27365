/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/flow_filter.h"

#define ANY NULL

/* One flow: service 3, client 10.0.0.7:4000, backend 5 at 10.0.1.11:8080. */
static struct lb_flow flow_of(const char *client, struct addr *ret_backend)
{
	struct lb_flow flow = {.service = 3, .backend = 5};
	struct addr addr;

	assert_null(addr_parse(slice_of(client), true, &addr));
	memcpy(flow.client.b, addr.ip, 16);
	flow.client_port = addr.port;
	assert_null(addr_parse(slice_of("10.0.1.11:8080"), true, ret_backend));
	return flow;
}

static const struct {
	const char *name;
	uint16_t service; /* 0: any */
	uint16_t id;	  /* 0: none */
	const char *address;
	const char *client;
	const char *flow; /* its client */
	bool expected;
} rows[] = {
	{"no filter takes all", 0, 0, ANY, ANY, "10.0.0.7:4000", true},
	{"its service", 3, 0, ANY, ANY, "10.0.0.7:4000", true},
	{"another service", 4, 0, ANY, ANY, "10.0.0.7:4000", false},
	{"its backend's id", 0, 5, ANY, ANY, "10.0.0.7:4000", true},
	{"another backend's id", 0, 6, ANY, ANY, "10.0.0.7:4000", false},
	{"its backend's address and port", 0, 0, "10.0.1.11:8080", ANY, "10.0.0.7:4000", true},
	{"its backend's address, any port", 0, 0, "10.0.1.11", ANY, "10.0.0.7:4000", true},
	{"its backend's address, another port", 0, 0, "10.0.1.11:80", ANY, "10.0.0.7:4000", false},
	{"the id or the address", 0, 6, "10.0.1.11", ANY, "10.0.0.7:4000", true},
	{"its client", 0, 0, ANY, "10.0.0.7", "10.0.0.7:4000", true},
	{"its client and port", 0, 0, ANY, "10.0.0.7:4000", "10.0.0.7:4000", true},
	{"its client, another port", 0, 0, ANY, "10.0.0.7:4001", "10.0.0.7:4000", false},
	{"its client's prefix", 0, 0, ANY, "10.0.0.0/8", "10.0.0.7:4000", true},
	{"another prefix", 0, 0, ANY, "11.0.0.0/8", "10.0.0.7:4000", false},
	{"an IPv6 client", 0, 0, ANY, "fd00::7", "[fd00::7]:4000", true},
	{"an IPv6 client in brackets with its port", 0, 0, ANY, "[fd00::7]:4000", "[fd00::7]:4000",
	 true},
	{"an IPv6 client in brackets with another port", 0, 0, ANY, "[fd00::7]:1", "[fd00::7]:4000",
	 false},
	{"every filter must take it", 3, 5, ANY, "10.0.0.8", "10.0.0.7:4000", false},
};

static void filter_takes_exactly_what_is_meant(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct flow_filter filter = {.service = rows[i].service,
					     .has_service = rows[i].service != 0};
		struct addr backend;
		struct lb_flow flow = flow_of(rows[i].flow, &backend);

		print_message("  %s\n", rows[i].name);
		if (rows[i].id)
			flow_filter_add_id(&filter, rows[i].id);
		if (rows[i].address) {
			assert_null(addr_parse(slice_of(rows[i].address), false, &filter.address));
			filter.has_backend = true;
			filter.has_address = true;
		}
		if (rows[i].client)
			assert_null(flow_filter_client(&filter, rows[i].client));
		assert_int_equal(flow_filter_takes(&filter, &flow, &backend), rows[i].expected);
	}
}

static void a_client_that_is_no_address_is_refused(void **state)
{
	static const char *const texts[] = {"", "web1", "10.0.0.0/33", "10.0.0.1:x", "10.0.0.1/8"};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct flow_filter filter = {0};

		assert_non_null(flow_filter_client(&filter, texts[i]));
		assert_false(filter.has_client);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(filter_takes_exactly_what_is_meant),
		cmocka_unit_test(a_client_that_is_no_address_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
