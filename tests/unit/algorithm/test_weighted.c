/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "views.h"

static const struct {
	uint32_t count;
	uint16_t weights[8];
	uint32_t length; /* of the exact table */
} rows_of[] = {
	{1, {1}, 1},
	{1, {256}, 1},
	{2, {1, 1}, 2},
	{2, {100, 100}, 2},
	{2, {1, 256}, 257},
	{3, {5, 1, 1}, 7},
	{3, {2, 4, 6}, 6},
	{3, {3, 5, 7}, 15},
	{4, {10, 20, 30, 40}, 10},
	{8, {1, 2, 3, 4, 5, 6, 7, 8}, 36},
	{8, {256, 255, 254, 253, 1, 2, 3, 4}, 1028},
};

#define N_ROWS (sizeof(rows_of) / sizeof(rows_of[0]))

static void the_ratio_is_exact_over_any_window_of_one_table(void **state)
{
	static const struct pick_key no_key;

	(void)state;
	for (size_t i = 0; i < N_ROWS; i++) {
		uint32_t length = rows_of[i].length;
		uint32_t sum = 0;
		struct balancer *balancer =
			balancer_of("weighted-round-robin", rows_of[i].count, rows_of[i].weights);
		uint32_t in_window[9] = {0};
		uint16_t *picked = calloc(3 * length, sizeof(*picked));

		assert_non_null(picked);
		assert_int_equal(balancer->n_slots, length);
		for (uint32_t m = 0; m < rows_of[i].count; m++)
			sum += rows_of[i].weights[m];
		for (uint32_t n = 0; n < 3 * length; n++) {
			picked[n] = balancer_pick(balancer, &no_key, NULL, 0)->id;
			in_window[picked[n]]++;
			if (n >= length)
				in_window[picked[n - length]]--;
			for (uint32_t m = 0; n + 1 >= length && m < rows_of[i].count; m++)
				assert_int_equal(in_window[m + 1] * sum,
						 rows_of[i].weights[m] * length);
		}
		free(picked);
		balancer_free(balancer);
	}
}

/* Nobody is ever a whole slot ahead of its due or behind it. */
static void every_beginning_of_the_table_is_in_proportion(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ROWS; i++) {
		struct balancer *balancer =
			balancer_of("weighted-round-robin", rows_of[i].count, rows_of[i].weights);
		uint32_t given[8] = {0};
		int64_t sum = 0;

		for (uint32_t m = 0; m < rows_of[i].count; m++)
			sum += rows_of[i].weights[m];
		for (uint32_t slot = 0; slot < balancer->n_slots; slot++) {
			given[balancer->slots[slot]]++;
			for (uint32_t m = 0; m < rows_of[i].count; m++) {
				int64_t ahead = given[m] * sum -
						(int64_t)(slot + 1) * rows_of[i].weights[m];

				assert_true(ahead < sum && ahead > -sum);
			}
		}
		balancer_free(balancer);
	}
}

static void a_ratio_too_fine_for_the_table_is_met_to_within_one_slot(void **state)
{
	enum { MEMBERS = 600 };
	uint16_t weights[MEMBERS];
	uint32_t given[MEMBERS] = {0};
	uint64_t sum = 0;
	struct balancer *balancer;

	(void)state;
	for (uint32_t i = 0; i < MEMBERS; i++) {
		weights[i] = (uint16_t)(1 + i * 37 % 256);
		sum += weights[i];
	}
	assert_true(sum > LB_MAX_TABLE);
	balancer = balancer_of("weighted-round-robin", MEMBERS, weights);
	assert_int_equal(balancer->n_slots, LB_MAX_TABLE);
	for (uint32_t slot = 0; slot < balancer->n_slots; slot++)
		given[balancer->slots[slot]]++;
	for (uint32_t i = 0; i < MEMBERS; i++) {
		double due = (double)weights[i] * LB_MAX_TABLE / (double)sum;

		assert_true(given[i] >= 1 && given[i] > due - 1.1 && given[i] < due + 1.1);
	}
	balancer_free(balancer);
}

static void more_members_than_slots_still_give_a_full_table(void **state)
{
	enum { MEMBERS = LB_MAX_BACKENDS - 1 };
	static const char *const names[] = {"round-robin", "weighted-round-robin", "maglev",
					    "random-two"};
	static bool seen[LB_MAX_BACKENDS];
	uint16_t *weights = calloc(MEMBERS, sizeof(*weights));

	(void)state;
	assert_non_null(weights);
	for (uint32_t i = 0; i < MEMBERS; i++)
		weights[i] = (uint16_t)(1 + i % 256);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct balancer *balancer = balancer_of(names[i], MEMBERS, weights);

		memset(seen, 0, sizeof(seen));
		assert_int_equal(balancer->n_slots, LB_MAX_TABLE);
		for (uint32_t slot = 0; slot < balancer->n_slots; slot++) {
			assert_false(seen[balancer->slots[slot]]);
			seen[balancer->slots[slot]] = true;
		}
		balancer_free(balancer);
	}
	free(weights);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_ratio_is_exact_over_any_window_of_one_table),
		cmocka_unit_test(every_beginning_of_the_table_is_in_proportion),
		cmocka_unit_test(a_ratio_too_fine_for_the_table_is_met_to_within_one_slot),
		cmocka_unit_test(more_members_than_slots_still_give_a_full_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
