/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "health/backoff.h"
#include "health/state.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- The state machine --------------------------------------------------------------------- */

/*
 * <events>: g good, b bad, s suspect. <after>: the status after each, ? unknown, U up, D down;
 * upper case letters are the same in both, so that a row reads as two lines of music.
 */
static const struct {
	const char *name;
	enum health_status start;
	uint32_t rise, fall;
	const char *events;
	const char *after;
} rows[] = {
	{"the first success opens", HEALTH_IS_UNKNOWN, 2, 3, "g", "U"},
	{"the first failure closes", HEALTH_IS_UNKNOWN, 2, 3, "b", "D"},
	{"fall failures in a row", HEALTH_IS_UNKNOWN, 2, 3, "gbbb", "UUUD"},
	{"a success starts the count anew", HEALTH_IS_UP, 2, 3, "bbgbbgbbb", "UUUUUUUUD"},
	{"rise successes in a row", HEALTH_IS_DOWN, 3, 2, "ggbggg", "DDDDDU"},
	{"rise counts after a first failure", HEALTH_IS_UNKNOWN, 2, 3, "bgg", "DDU"},
	{"one and one follow every result", HEALTH_IS_UNKNOWN, 1, 1, "gbgb", "UDUD"},
	{"a state carried over keeps fall", HEALTH_IS_UP, 2, 3, "bbb", "UUD"},
	{"suspicion counts toward fall", HEALTH_IS_UP, 2, 3, "sbb", "UUD"},
	{"suspicion after a failure counts", HEALTH_IS_UP, 2, 3, "bsb", "UUD"},
	{"suspicion never decides", HEALTH_IS_UP, 2, 3, "ssssss", "UUUUUU"},
	{"suspicion with fall 1 leaves it to the probe", HEALTH_IS_UP, 2, 1, "ssb", "UUD"},
	{"a good probe clears suspicion", HEALTH_IS_UP, 2, 3, "ssgbbb", "UUUUUD"},
	{"suspicion of the unknown is nothing", HEALTH_IS_UNKNOWN, 2, 3, "ssg", "??U"},
	{"suspicion does not break a rise", HEALTH_IS_DOWN, 2, 3, "gsg", "DDU"},
};

static void results_move_the_status_as_the_table_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct health_state health;
		char after[32] = "";
		size_t n = strlen(rows[i].events);

		assert_int_equal(n, strlen(rows[i].after));
		health_state_init(&health, rows[i].start, rows[i].rise, rows[i].fall);
		for (size_t k = 0; k < n; k++) {
			enum health_status before = health.status;
			char event = rows[i].events[k];
			bool turned = health_state_step(&health, event == 'g'	? HEALTH_GOOD
								 : event == 'b' ? HEALTH_BAD
										: HEALTH_SUSPECT);

			assert_int_equal(turned, health.status != before);
			after[k] = "?UD"[health.status];
		}
		if (strcmp(after, rows[i].after) != 0)
			fail_msg("%s: %s, not %s", rows[i].name, after, rows[i].after);
	}
}

static void the_streak_counts_equal_results(void **state)
{
	struct health_state health;

	(void)state;
	health_state_init(&health, HEALTH_IS_UNKNOWN, 2, 3);
	assert_int_equal(health.streak, 0);
	for (uint32_t i = 1; i <= 5; i++) {
		health_state_step(&health, HEALTH_GOOD);
		assert_int_equal(health.streak, i);
	}
	health_state_step(&health, HEALTH_BAD);
	assert_int_equal(health.streak, 1);
	health.streak = UINT32_MAX;
	health_state_step(&health, HEALTH_BAD);
	assert_true(health.streak == UINT32_MAX);
}

/* ---- Delays -------------------------------------------------------------------------------- */

static const struct health_spec specs[] = {
	{.interval_ms = 2000, .jitter_percent = 5, .backoff_max_ms = 30000},
	{.interval_ms = 1, .jitter_percent = 100, .backoff_max_ms = 1},
	{.interval_ms = 100, .jitter_percent = 0, .backoff_max_ms = 350},
	{.interval_ms = 5000, .jitter_percent = 50, .backoff_max_ms = 10}, /* max below interval */
	{.interval_ms = 3, .jitter_percent = 400, .backoff_max_ms = UINT32_MAX},
	{.interval_ms = UINT32_MAX, .jitter_percent = 5, .backoff_max_ms = UINT32_MAX},
};

static uint32_t any_dice(int i)
{
	if (i % 10 == 0)
		return 0;
	return i % 10 == 1 ? UINT32_MAX : (uint32_t)random_u64();
}

static uint64_t shortest(const struct health_spec *spec)
{
	uint64_t percent = spec->jitter_percent < 100 ? spec->jitter_percent : 100;
	uint64_t ms = spec->interval_ms - spec->interval_ms * percent / 100;

	return ms > 0 ? ms : 1;
}

static void chance_only_shortens_the_interval_of_a_living_backend(void **state)
{
	(void)state;
	for (size_t s = 0; s < COUNT(specs); s++) {
		struct health_backoff backoff;
		uint32_t least = UINT32_MAX, most = 0;

		health_backoff_init(&backoff, &specs[s]);
		for (int i = 0; i < 1000; i++) {
			uint32_t ms = health_backoff_next(&backoff, HEALTH_IS_UP, i % 3 != 0,
							  any_dice(i));

			least = ms < least ? ms : least;
			most = ms > most ? ms : most;
		}
		assert_true(least == shortest(&specs[s])); /* dice 0 */
		assert_true(most == specs[s].interval_ms); /* dice all ones */
	}
}

static void the_phase_lies_in_one_interval(void **state)
{
	(void)state;
	for (size_t s = 0; s < COUNT(specs); s++) {
		struct health_backoff backoff;

		health_backoff_init(&backoff, &specs[s]);
		for (int i = 0; i < 1000; i++) {
			uint32_t ms = health_backoff_phase(&backoff, any_dice(i));

			assert_true(ms >= 1);
			assert_true(ms <= specs[s].interval_ms);
		}
	}
}

/* The longest delay the next failed probe may bring. */
static uint64_t doubled(const struct health_spec *spec, uint64_t ceiling)
{
	uint64_t max =
		spec->backoff_max_ms > spec->interval_ms ? spec->backoff_max_ms : spec->interval_ms;

	return ceiling * 2 < max ? ceiling * 2 : max;
}

static void delays_while_down_double_up_to_the_maximum(void **state)
{
	(void)state;
	for (size_t s = 0; s < COUNT(specs); s++) {
		for (int run = 0; run < 100; run++) {
			struct health_backoff backoff;
			uint64_t ceiling = specs[s].interval_ms;

			health_backoff_init(&backoff, &specs[s]);
			for (int i = 0; i < 40; i++) {
				uint32_t dice = any_dice(run);
				uint32_t ms =
					health_backoff_next(&backoff, HEALTH_IS_DOWN, false, dice);

				assert_true(ms >= shortest(&specs[s]));
				assert_true(ms <= ceiling);
				assert_true(dice != UINT32_MAX || ms == ceiling);
				ceiling = doubled(&specs[s], ceiling);
			}
		}
	}
}

static void one_success_returns_the_delay_to_the_interval(void **state)
{
	struct health_backoff backoff;

	(void)state;
	health_backoff_init(&backoff, &specs[0]);
	for (int i = 0; i < 10; i++)
		health_backoff_next(&backoff, HEALTH_IS_DOWN, false, UINT32_MAX);
	assert_int_equal(backoff.ceiling_ms, 30000);
	assert_int_equal(health_backoff_next(&backoff, HEALTH_IS_DOWN, true, UINT32_MAX), 2000);
	assert_int_equal(health_backoff_next(&backoff, HEALTH_IS_DOWN, false, UINT32_MAX), 2000);
	assert_int_equal(health_backoff_next(&backoff, HEALTH_IS_DOWN, false, UINT32_MAX), 4000);
}

static void every_type_and_reason_has_a_word(void **state)
{
	(void)state;
	for (int i = 0; i < HEALTH_REASON_COUNT; i++)
		assert_string_not_equal(strtable_name(&health_reason_names, i), "?");
	assert_string_equal(strtable_name(&health_reason_names, HEALTH_CONNECT_REFUSED),
			    "connect_refused");
	assert_int_equal(strtable_value(&health_type_names, SLICE("none")), HEALTH_NONE);
	assert_int_equal(strtable_value(&health_type_names, SLICE("tcp")), HEALTH_TCP);
	assert_int_equal(strtable_value(&health_type_names, SLICE("http")), HEALTH_HTTP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(results_move_the_status_as_the_table_says),
		cmocka_unit_test(the_streak_counts_equal_results),
		cmocka_unit_test(chance_only_shortens_the_interval_of_a_living_backend),
		cmocka_unit_test(the_phase_lies_in_one_interval),
		cmocka_unit_test(delays_while_down_double_up_to_the_maximum),
		cmocka_unit_test(one_success_returns_the_delay_to_the_interval),
		cmocka_unit_test(every_type_and_reason_has_a_word),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
