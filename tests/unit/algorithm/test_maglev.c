/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "views.h"

static void one_size_serves_all_pools_but_the_very_large(void **state)
{
	static const struct {
		uint32_t count;
		uint32_t size;
	} sizes[] = {{1, 16381},   {2, 16381},	 {3, 16381},   {10, 16381},
		     {100, 16381}, {128, 16381}, {129, 65521}, {1000, 65521}};

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct balancer *balancer = balancer_of("maglev", sizes[i].count, NULL);

		assert_int_equal(balancer->n_slots, sizes[i].size);
		for (uint32_t divisor = 2; divisor * divisor <= balancer->n_slots; divisor++)
			assert_int_not_equal(balancer->n_slots % divisor, 0);
		balancer_free(balancer);
	}
}

static void shares_are_within_two_percent_of_the_weights(void **state)
{
	static const struct {
		uint32_t count;
		uint32_t kinds; /* weights are 1..kinds in turn */
	} pools[] = {{2, 2},   {3, 3},	 {10, 1},  {10, 4},  {50, 5},  {100, 1},
		     {100, 3}, {128, 1}, {256, 1}, {300, 2}, {1000, 1}};

	(void)state;
	for (size_t i = 0; i < sizeof(pools) / sizeof(pools[0]); i++) {
		uint32_t count = pools[i].count;
		uint16_t weights[1000];
		uint32_t given[1000] = {0};
		double sum = 0;
		struct balancer *balancer;

		for (uint32_t m = 0; m < count; m++) {
			weights[m] = (uint16_t)(1 + m % pools[i].kinds);
			sum += weights[m];
		}
		balancer = balancer_of("maglev", count, weights);
		for (uint32_t slot = 0; slot < balancer->n_slots; slot++)
			given[balancer->slots[slot]]++;
		for (uint32_t m = 0; m < count; m++) {
			double due = balancer->n_slots * weights[m] / sum;

			if (given[m] < due * 0.98 || given[m] > due * 1.02)
				fail_msg("%u members: one has %u slots, due are %.1f", count,
					 given[m], due);
		}
		balancer_free(balancer);
	}
}

static void the_lightest_member_has_a_slot_beside_the_heaviest(void **state)
{
	enum { MEMBERS = 80 };
	uint16_t weights[MEMBERS];
	uint32_t given[MEMBERS] = {0};
	struct view *view;
	uint16_t slots[251];

	(void)state;
	for (uint32_t m = 0; m < MEMBERS; m++)
		weights[m] = m % 3 ? 256 : 1;
	view = view_of(MEMBERS, weights, NULL, 0);
	assert_int_equal(algorithm_create("maglev")->table(view, 251, slots), 251);
	for (uint32_t slot = 0; slot < 251; slot++)
		given[slots[slot]]++;
	for (uint32_t m = 0; m < MEMBERS; m++)
		assert_in_range(given[m], m % 3 ? 3 : 1, m % 3 ? 5 : 1);
	view_put(view);
}

/* The part of the slots of those who are in both that lead to another; compared by address. */
static double moved(const struct balancer *before, const struct balancer *after,
		    const struct addr *gone)
{
	uint32_t n = 0;

	assert_int_equal(before->n_slots, after->n_slots);
	for (uint32_t slot = 0; slot < before->n_slots; slot++) {
		const struct addr *a = &before->view->members[before->slots[slot]].addr;
		const struct addr *b = &after->view->members[after->slots[slot]].addr;

		n += !addr_equal(a, b) && !(gone && addr_equal(a, gone));
	}
	return (double)n / before->n_slots;
}

enum { MOST_MEMBERS = 1000 };

struct members {
	uint32_t count;
	uint32_t numbers[MOST_MEMBERS];
	uint16_t weights[MOST_MEMBERS];
};

static void members_of(uint32_t count, uint32_t first, const uint16_t *kinds, uint32_t n_kinds,
		       struct members *ret_members)
{
	ret_members->count = count;
	for (uint32_t i = 0; i < count; i++) {
		ret_members->numbers[i] = first + i;
		ret_members->weights[i] = kinds[i % n_kinds];
	}
}

static struct balancer *balancer_of_members(const struct members *members)
{
	return balancer_over("maglev",
			     view_of(members->count, members->weights, members->numbers, 0));
}

/* As after a removal from the pool: its size is one less too. */
static struct balancer *without(const struct members *members, uint32_t gone)
{
	struct members rest = *members;
	uint32_t behind = --rest.count - gone;

	memmove(&rest.numbers[gone], &rest.numbers[gone + 1], behind * sizeof(rest.numbers[0]));
	memmove(&rest.weights[gone], &rest.weights[gone + 1], behind * sizeof(rest.weights[0]));
	return balancer_of_members(&rest);
}

/* Of the slots of others, for each <step>th member that goes. */
static double most_moved(const struct members *members, uint32_t step)
{
	struct balancer *all = balancer_of_members(members);
	double most = 0;

	for (uint32_t gone = 0; gone < members->count; gone += step) {
		struct balancer *rest = without(members, gone);
		double part = moved(all, rest, &all->view->members[gone].addr);

		most = part > most ? part : most;
		balancer_free(rest);
	}
	balancer_free(all);
	return most;
}

/* Read backwards, each row is the addition of one. */
static void losing_one_moves_few_slots_of_the_others(void **state)
{
	static const struct {
		uint32_t count;
		uint32_t step; /* of those that go */
		uint32_t sets; /* of addresses */
		uint32_t n_kinds;
		uint16_t kinds[3]; /* weights, in turn */
		double most;
	} losses[] = {
		{2, 1, 20, 1, {1}, 0.0},	  {3, 1, 20, 1, {1}, 0.005},
		{3, 1, 20, 3, {1, 2, 3}, 0.005},  {3, 1, 20, 3, {1, 1, 256}, 0.005},
		{10, 1, 20, 1, {1}, 0.005},	  {10, 1, 20, 1, {100}, 0.005},
		{10, 1, 20, 3, {1, 2, 3}, 0.005}, {10, 1, 20, 2, {1, 10}, 0.005},
		{30, 1, 3, 1, {1}, 0.006},	  {100, 1, 2, 1, {1}, 0.01},
		{100, 1, 2, 3, {1, 2, 3}, 0.01},  {100, 1, 1, 3, {10, 11, 100}, 0.01},
		{128, 8, 1, 1, {1}, 0.01},	  {1000, 100, 1, 1, {1}, 0.01},
		{1000, 100, 1, 2, {1, 2}, 0.01},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(losses) / sizeof(losses[0]); i++) {
		static struct members members;
		double most = 0;

		for (uint32_t set = 0; set < losses[i].sets; set++) {
			double part;

			members_of(losses[i].count, 1 + set * MOST_MEMBERS, losses[i].kinds,
				   losses[i].n_kinds, &members);
			part = most_moved(&members, losses[i].step);
			most = part > most ? part : most;
		}
		print_message("  1 of %u, %u weights: %.3f%% of the others' slots\n",
			      losses[i].count, losses[i].n_kinds, 100 * most);
		if (most > losses[i].most)
			fail_msg("1 of %u moved %.3f%% of the others' slots, expected at most "
				 "%.3f%%",
				 losses[i].count, 100 * most, 100 * losses[i].most);
	}
}

/* Another weight: only what goes to or comes from that member has to move. */
static void a_weight_that_changes_moves_few_slots_between_the_others(void **state)
{
	static const uint16_t one = 10;
	static struct members members;
	struct balancer *before;
	struct balancer *after;
	uint32_t between = 0;

	(void)state;
	members_of(10, 1, &one, 1, &members);
	before = balancer_of_members(&members);
	members.weights[4] = 15;
	after = balancer_of_members(&members);
	assert_int_equal(before->n_slots, after->n_slots);
	for (uint32_t slot = 0; slot < before->n_slots; slot++)
		between += before->slots[slot] != after->slots[slot] && before->slots[slot] != 4 &&
			   after->slots[slot] != 4;
	assert_in_range(between, 0, before->n_slots / 200);
	balancer_free(before);
	balancer_free(after);
}

/* Above the border too: the pool's members count, not the eligible ones. */
static void health_never_changes_the_size_of_the_table(void **state)
{
	struct view *view = view_of(3, NULL, NULL, 0);
	struct balancer *balancer;

	(void)state;
	view->pool_size = 129;
	balancer = balancer_over("maglev", view);
	assert_int_equal(balancer->n_slots, 65521);
	balancer_free(balancer);
}

static void tables_depend_on_addresses_and_weights_and_never_on_ids(void **state)
{
	static const uint16_t weights[] = {1, 2, 3, 1, 2};
	static const uint16_t others[] = {1, 2, 3, 1, 3};
	static const char *const names[] = {"maglev", "source-hash"};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct balancer *a = balancer_over(names[i], view_of(5, weights, NULL, 0));
		struct balancer *b = balancer_over(names[i], view_of(5, weights, NULL, 7000));
		struct balancer *c = balancer_over(names[i], view_of(5, others, NULL, 0));

		assert_true(moved(a, b, NULL) == 0.0);
		assert_true(moved(a, c, NULL) > 0.0);
		balancer_free(a);
		balancer_free(b);
		balancer_free(c);
	}
}

/* A table of today must be the table of tomorrow: balancers of two versions share traffic. */
static void the_table_is_the_one_that_other_versions_make(void **state)
{
	static const uint16_t weights[] = {1, 2, 3};
	struct view *view = view_of(3, weights, NULL, 0);
	uint16_t slots[251];
	uint32_t sum = 0;

	(void)state;
	assert_int_equal(algorithm_create("maglev")->table(view, 251, slots), 251);
	for (uint32_t slot = 0; slot < 251; slot++)
		sum = sum * 31 + slots[slot];
	assert_int_equal(sum, 0xe12096b);
	view_put(view);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_size_serves_all_pools_but_the_very_large),
		cmocka_unit_test(shares_are_within_two_percent_of_the_weights),
		cmocka_unit_test(the_lightest_member_has_a_slot_beside_the_heaviest),
		cmocka_unit_test(losing_one_moves_few_slots_of_the_others),
		cmocka_unit_test(a_weight_that_changes_moves_few_slots_between_the_others),
		cmocka_unit_test(health_never_changes_the_size_of_the_table),
		cmocka_unit_test(tables_depend_on_addresses_and_weights_and_never_on_ids),
		cmocka_unit_test(the_table_is_the_one_that_other_versions_make),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
