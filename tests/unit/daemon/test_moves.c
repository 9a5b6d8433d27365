/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <arpa/inet.h>
#include <cmocka.h>

#include "daemon/moves.h"

/* 10.0.1.<first> and so on, of equal weight; 0 backends: an empty pool. */
static struct balancer *balancer_of(const char *algorithm, uint32_t first, uint32_t count)
{
	struct balancer *balancer;
	struct view *view;

	assert_int_equal(view_new(count, 10, &view), 0);
	for (uint32_t i = 0; i < count; i++) {
		char text[32];

		(void)snprintf(text, sizeof(text), "10.0.1.%u:80", first + i);
		assert_null(addr_parse(slice_of(text), true, &view->members[i].addr));
		view->members[i].weight = 1;
	}
	assert_int_equal(balancer_new(algorithm, view, NULL, &balancer), 0);
	view_put(view);
	return balancer;
}

static const struct {
	const char *name;
	const char *from, *to;
	uint32_t from_first, from_count;
	uint32_t to_first, to_count;
	bool by_hash;
	double moved_low, moved_high, needed_low, needed_high;
} rows[] = {
	{"nothing changes", "maglev", "maglev", 1, 10, 1, 10, true, 0, 0, 0, 0},
	/* Its own slots have to move, and few of the others do. */
	{"one of three goes", "maglev", "maglev", 1, 3, 1, 2, true, 0.326, 0.341, 0.326, 0.34},
	{"one of ten goes", "maglev", "maglev", 1, 10, 2, 9, true, 0.098, 0.107, 0.098, 0.102},
	{"one more comes", "maglev", "maglev", 1, 9, 1, 10, true, 0.098, 0.107, 0, 0},
	/* Up to 128 have a smaller table. A slot in it is as wide as four, of which one may keep
	 * its member: looks go to the same part of a table of any size. */
	{"the size changes", "maglev", "maglev", 1, 129, 1, 128, true, 0.7, 0.85, 0.007, 0.009},
	{"all are others", "maglev", "maglev", 1, 3, 11, 3, true, 1, 1, 1, 1},
	{"from maglev to source-hash is one table", "maglev", "source-hash", 1, 3, 1, 3, true, 0, 0,
	 0, 0},
	{"turns are nobody's", "round-robin", "round-robin", 1, 3, 1, 2, false, 0, 0, 0, 0},
	{"from turns to hashes nothing is kept", "round-robin", "maglev", 1, 3, 1, 3, false, 0, 0,
	 0, 0},
	{"the last one goes", "maglev", "maglev", 1, 1, 1, 0, true, 0, 0, 0, 0},
};

static void a_change_moves_what_it_has_to_and_little_more(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct balancer *before =
			balancer_of(rows[i].from, rows[i].from_first, rows[i].from_count);
		struct balancer *after =
			balancer_of(rows[i].to, rows[i].to_first, rows[i].to_count);
		struct moves moves;

		moves_of(before, after, &moves);
		print_message("  %s: moved %.4f, needed %.4f of %u\n", rows[i].name, moves.moved,
			      moves.needed, moves.slots_after);
		assert_int_equal(moves.by_hash, rows[i].by_hash);
		assert_int_equal(moves.slots_before, before->n_slots);
		assert_int_equal(moves.slots_after, after->n_slots);
		assert_true(moves.moved >= rows[i].moved_low && moves.moved <= rows[i].moved_high);
		assert_true(moves.needed >= rows[i].needed_low &&
			    moves.needed <= rows[i].needed_high);
		balancer_free(before);
		balancer_free(after);
	}
}

static void shares_are_parts_of_the_table(void **state)
{
	struct balancer *balancer = balancer_of("round-robin", 1, 4);
	struct addr stranger;

	(void)state;
	assert_null(addr_parse(slice_of("10.0.2.1:80"), true, &stranger));
	assert_true(moves_share(balancer, &balancer->view->members[2].addr) == 0.25);
	assert_true(moves_share(balancer, &stranger) == 0);
	assert_true(moves_share(NULL, &stranger) == 0);
	balancer_free(balancer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_change_moves_what_it_has_to_and_little_more),
		cmocka_unit_test(shares_are_parts_of_the_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
