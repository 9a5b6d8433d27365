/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dataplane/meta.h"

#define HZ	   250
#define SECONDS(n) ((n)*HZ)

static const uint32_t nothing_wanted[LB_FLOW_STATES];

static struct lb_meta made(void)
{
	const struct meta_clock clock = {.tick_ns = 1000000000 / HZ};
	struct lb_meta meta = {0};

	meta_create(&meta, 1000, &clock, "test");
	return meta;
}

static void idle_flows_end_after_the_defaults_of_their_states(void **state)
{
	const struct lb_meta meta = made();

	(void)state;
	assert_int_equal(meta.timeout[LB_FLOW_SYN], SECONDS(30));
	assert_int_equal(meta.timeout[LB_FLOW_OPEN], SECONDS(3600));
	assert_int_equal(meta.timeout[LB_FLOW_UDP_OPEN], SECONDS(120));
}

static void a_wanted_timeout_is_written_in_ticks_and_others_are_the_defaults(void **state)
{
	uint32_t wanted[LB_FLOW_STATES] = {[LB_FLOW_OPEN] = 604800000, [LB_FLOW_SYN] = 1500};
	struct lb_meta meta = made();

	(void)state;
	meta_timeouts(&meta, wanted);
	assert_int_equal(meta.timeout[LB_FLOW_OPEN], SECONDS(604800));
	assert_int_equal(meta.timeout[LB_FLOW_SYN], SECONDS(3) / 2);
	assert_int_equal(meta.timeout[LB_FLOW_CLOSING], SECONDS(10));
	meta_timeouts(&meta, nothing_wanted);
	assert_int_equal(meta.timeout[LB_FLOW_OPEN], SECONDS(3600));
}

static void an_adopting_daemon_leaves_the_timeouts_until_it_knows_better(void **state)
{
	uint32_t wanted[LB_FLOW_STATES] = {[LB_FLOW_OPEN] = 86400000};
	struct lb_meta meta = made();

	(void)state;
	meta_timeouts(&meta, wanted);
	meta_adopt(&meta, "next");
	assert_int_equal(meta.timeout[LB_FLOW_OPEN], SECONDS(86400));
	assert_string_equal(meta.build, "next");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(idle_flows_end_after_the_defaults_of_their_states),
		cmocka_unit_test(a_wanted_timeout_is_written_in_ticks_and_others_are_the_defaults),
		cmocka_unit_test(an_adopting_daemon_leaves_the_timeouts_until_it_knows_better),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
