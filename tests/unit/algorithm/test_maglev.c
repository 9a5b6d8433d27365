/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "views.h"

static void tables_are_prime_and_grow_with_the_pool(void **state)
{
	static const struct {
		uint32_t count;
		uint32_t size;
	} sizes[] = {
		{1, 509},    {2, 1021},	  {5, 2039},	{10, 4093},    {20, 8191},
		{40, 16381}, {80, 32749}, {100, 65521}, {1000, 65521},
	};

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
	} pools[] = {{2, 2}, {3, 3}, {10, 1}, {10, 4}, {50, 5}, {100, 1}, {100, 3}, {300, 2}};

	(void)state;
	for (size_t i = 0; i < sizeof(pools) / sizeof(pools[0]); i++) {
		uint32_t count = pools[i].count;
		uint16_t weights[300];
		uint32_t given[300] = {0};
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

			assert_true(given[m] > due * 0.98 && given[m] < due * 1.02);
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

/* The same slots by address: member indexes and ids are not compared. */
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

static struct balancer *without(uint32_t gone, uint32_t count, const uint16_t *weights)
{
	uint32_t numbers[256];
	uint16_t kept[256];
	uint32_t n = 0;
	struct view *view;

	for (uint32_t i = 0; i < count; i++) {
		if (i == gone)
			continue;
		kept[n] = weights[i];
		numbers[n++] = i + 1;
	}
	view = view_of(n, kept, numbers, 0);
	view->pool_size = count; /* it is still in the pool, only not eligible */
	return balancer_over("maglev", view);
}

static void losing_one_of_a_hundred_moves_at_most_one_percent_of_the_others(void **state)
{
	enum { MEMBERS = 100 };
	uint16_t weights[MEMBERS];

	(void)state;
	for (int kinds = 1; kinds <= 4; kinds += 3) {
		struct balancer *all;

		for (int i = 0; i < MEMBERS; i++)
			weights[i] = (uint16_t)(1 + i % kinds);
		all = balancer_of("maglev", MEMBERS, weights);
		for (uint32_t gone = 0; gone < MEMBERS; gone++) {
			struct balancer *rest = without(gone, MEMBERS, weights);

			assert_true(moved(all, rest, &all->view->members[gone].addr) <= 0.01);
			balancer_free(rest);
		}
		balancer_free(all);
	}
}

/* Where a smaller table would do for the rest, the size of the pool keeps it. */
static void health_never_changes_the_size_of_the_table(void **state)
{
	enum { MEMBERS = 41 };
	uint16_t weights[MEMBERS];
	struct balancer *all;
	struct balancer *rest;

	(void)state;
	for (int i = 0; i < MEMBERS; i++)
		weights[i] = 1;
	all = balancer_of("maglev", MEMBERS, weights);
	rest = without(7, MEMBERS, weights);
	assert_true(moved(all, rest, &all->view->members[7].addr) <= 0.02);
	balancer_free(rest);
	rest = balancer_of("maglev", MEMBERS - 1, weights);
	assert_true(rest->n_slots < all->n_slots);
	balancer_free(rest);
	balancer_free(all);
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
	assert_int_equal(sum, 0xde72e98c);
	view_put(view);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(tables_are_prime_and_grow_with_the_pool),
		cmocka_unit_test(shares_are_within_two_percent_of_the_weights),
		cmocka_unit_test(the_lightest_member_has_a_slot_beside_the_heaviest),
		cmocka_unit_test(losing_one_of_a_hundred_moves_at_most_one_percent_of_the_others),
		cmocka_unit_test(health_never_changes_the_size_of_the_table),
		cmocka_unit_test(tables_depend_on_addresses_and_weights_and_never_on_ids),
		cmocka_unit_test(the_table_is_the_one_that_other_versions_make),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
