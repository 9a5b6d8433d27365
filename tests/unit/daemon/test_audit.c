/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "daemon/audit.h"

#define MAX_FLOWS 4

/* A table, and counters that may move while it is walked. */
static struct world {
	struct lb_live live[LB_MAX_BACKENDS];
	struct audit audit;
	struct lb_flow flows[MAX_FLOWS];
	int n_flows;
	int moves; /* walks during which backend 1 opens and closes one more */
	int walks;
} world;

static void walk(void *ctx, bool (*each)(void *, uint32_t, const struct lb_flow *), void *each_ctx)
{
	(void)ctx;
	world.walks++;
	if (world.walks <= world.moves) {
		world.live[1].opened++;
		world.live[1].closed++;
	}
	for (int i = 0; i < world.n_flows; i++) {
		if (!each(each_ctx, (uint32_t)i, &world.flows[i]))
			return;
	}
}

static int setup(void **state)
{
	(void)state;
	world = (struct world){.n_flows = 3};
	world.flows[0] = (struct lb_flow){.backend = 1, .word = LB_FLOW_COUNTED | LB_FLOW_OPEN};
	world.flows[1] = (struct lb_flow){.backend = 2, .word = LB_FLOW_COUNTED | LB_FLOW_OPEN};
	world.flows[2] = (struct lb_flow){.backend = 2, .word = LB_FLOW_SYN};
	world.live[1] = (struct lb_live){.opened = 9, .closed = 8};
	world.live[2] = (struct lb_live){.opened = 5, .closed = 4};
	return 0;
}

static void counts_that_agree_have_no_drift(void **state)
{
	(void)state;
	audit_run(&world.audit, world.live, walk, NULL);
	assert_int_equal(world.audit.flows, 3);
	assert_int_equal(world.audit.rows[1].counted, 1);
	assert_int_equal(world.audit.rows[2].counted, 1);
	assert_int_equal(audit_drift(&world.audit.rows[1]), 0);
	assert_int_equal(audit_drift(&world.audit.rows[2]), 0);
	assert_int_equal(world.walks, 1);
}

static void drift_is_above_zero_when_the_counters_say_more(void **state)
{
	(void)state;
	world.live[1].opened += 3;
	world.live[2].closed += 2;
	audit_run(&world.audit, world.live, walk, NULL);
	assert_int_equal(audit_drift(&world.audit.rows[1]), 3);
	assert_int_equal(audit_drift(&world.audit.rows[2]), -2);
	assert_int_equal(audit_drift(&world.audit.rows[3]), 0);
}

static void what_moved_is_counted_again_and_the_rest_is_not(void **state)
{
	(void)state;
	world.moves = 2;
	assert_int_equal(audit_turn(&world.audit, world.live, walk, NULL), 1);
	assert_true(world.audit.rows[2].settled);
	assert_false(world.audit.rows[1].settled);
	world.live[2].opened += 7; /* after it was settled */
	audit_run(&world.audit, world.live, walk, NULL);
	assert_int_equal(world.walks, 3);
	assert_true(world.audit.rows[1].settled);
	assert_int_equal(audit_drift(&world.audit.rows[1]), 0);
	assert_int_equal(audit_drift(&world.audit.rows[2]), 0);
}

static void what_never_rests_is_said_not_to_be_settled(void **state)
{
	(void)state;
	world.moves = 1000;
	audit_run(&world.audit, world.live, walk, NULL);
	assert_false(world.audit.rows[1].settled);
	assert_true(world.audit.rows[2].settled);
	assert_in_range(world.walks, 2, 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(counts_that_agree_have_no_drift, setup),
		cmocka_unit_test_setup(drift_is_above_zero_when_the_counters_say_more, setup),
		cmocka_unit_test_setup(what_moved_is_counted_again_and_the_rest_is_not, setup),
		cmocka_unit_test_setup(what_never_rests_is_said_not_to_be_settled, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
