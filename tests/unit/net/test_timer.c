/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/random.h"
#include "net/wheel.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void ignore(struct timer *timer)
{
	(void)timer;
}

static void put(struct wheel *wheel, struct timer *timer, uint64_t due_ms)
{
	timer_init(timer, ignore);
	timer->due_ms = due_ms;
	wheel_put(wheel, timer);
}

/* ---- The wheel, with a clock of our own ---------------------------------------------------- */

static void a_timer_is_due_in_its_millisecond_and_not_before(void **state)
{
	static const uint64_t starts[] = {0, 1, 63, 64, 4095, 123456789, UINT64_C(1) << 40};
	static const uint64_t delays[] = {1,	 2,	   62,	     63,       64,	  65,
					  4095,	 4096,	   4097,     262143,   262144,	  30000,
					  60000, 86400000, 16777215, 16777216, UINT32_MAX};
	struct wheel wheel;
	struct timer timer;

	(void)state;
	for (size_t s = 0; s < COUNT(starts); s++) {
		for (size_t d = 0; d < COUNT(delays); d++) {
			uint64_t due = starts[s] + delays[d];

			wheel_init(&wheel, starts[s]);
			put(&wheel, &timer, due);
			wheel_advance(&wheel, due - 1);
			assert_null(wheel_pop(&wheel));
			assert_true(wheel_next_ms(&wheel) <= due);
			wheel_advance(&wheel, due);
			assert_ptr_equal(wheel_pop(&wheel), &timer);
			assert_false(timer_running(&timer));
			assert_null(wheel_pop(&wheel));
			assert_true(wheel_next_ms(&wheel) == UINT64_MAX);
		}
	}
}

static void following_the_wheels_own_hints_finds_each_timer_on_time(void **state)
{
	struct wheel wheel;
	struct timer timer;

	(void)state;
	for (unsigned i = 0; i < 2000; i++) {
		uint64_t now = random_u64() >> 24;
		uint64_t due = now + 1 + (random_u64() >> (30 + i % 34));
		unsigned waits = 0;

		wheel_init(&wheel, now);
		put(&wheel, &timer, due);
		while (wheel.now_ms < due) {
			assert_true(wheel_next_ms(&wheel) > wheel.now_ms);
			assert_true(wheel_next_ms(&wheel) <= due);
			wheel_advance(&wheel, wheel_next_ms(&wheel));
			assert_true(++waits <= WHEEL_LEVELS);
		}
		assert_ptr_equal(wheel_pop(&wheel), &timer);
	}
}

#define MANY 5000

static void check_due(struct wheel *wheel, struct timer *timers, uint64_t last_ms)
{
	struct timer *timer;
	uint64_t before = last_ms;

	while ((timer = wheel_pop(wheel))) {
		assert_true(timer->due_ms > last_ms);
		assert_true(timer->due_ms <= wheel->now_ms);
		assert_true(timer->due_ms >= before); /* in order */
		before = timer->due_ms;
	}
	for (int i = 0; i < MANY; i++)
		assert_true(!timer_running(&timers[i]) || timers[i].due_ms > wheel->now_ms);
}

/* One of: stopped, moved, left alone. */
static void disturb(struct wheel *wheel, struct timer *timer)
{
	uint32_t what = random_below(3);

	if (what == 2)
		return;
	if (timer_running(timer))
		wheel_take(wheel, timer);
	if (what == 1) {
		timer->due_ms = wheel->now_ms + 1 + random_below(1U << random_below(24));
		wheel_put(wheel, timer);
	}
}

static void thousands_of_timers_moved_and_stopped_keep_their_order(void **state)
{
	static struct timer timers[MANY];
	struct wheel wheel;

	(void)state;
	wheel_init(&wheel, 1000000);
	for (int i = 0; i < MANY; i++)
		put(&wheel, &timers[i], 1000001 + random_below(100000));
	for (int step = 0; step < 300; step++) {
		uint64_t last_ms = wheel.now_ms;

		for (int i = 0; i < 100; i++)
			disturb(&wheel, &timers[random_below(MANY)]);
		wheel_advance(&wheel, last_ms + random_below(1U << random_below(16)));
		check_due(&wheel, timers, last_ms);
	}
}

static void a_stopped_timer_leaves_no_wakeup_behind(void **state)
{
	struct wheel wheel;
	struct timer a, b;

	(void)state;
	wheel_init(&wheel, 5);
	put(&wheel, &a, 50);
	put(&wheel, &b, 50);
	wheel_take(&wheel, &a);
	assert_true(wheel_next_ms(&wheel) == 50);
	wheel_take(&wheel, &b);
	assert_true(wheel_next_ms(&wheel) == UINT64_MAX);
}

static void times_beyond_the_wheel_are_cut_not_lost(void **state)
{
	struct wheel wheel;
	struct timer timer;

	(void)state;
	wheel_init(&wheel, 12345);
	put(&wheel, &timer, UINT64_MAX);
	assert_true(timer_running(&timer));
	wheel_advance(&wheel, UINT64_C(1) << 40);
	assert_null(wheel_pop(&wheel));
	wheel_advance(&wheel, UINT64_C(1) << 42);
	assert_ptr_equal(wheel_pop(&wheel), &timer);
}

/* ---- Timers in a loop, with the real clock ------------------------------------------------- */

struct probe {
	struct timer timer;
	uint64_t started_ns;
	uint64_t delay_ms;
};

static struct loop *loop;
static int fired;
static uint64_t last_delay_ms;

static void on_probe(struct timer *timer)
{
	struct probe *probe = container_of(timer, struct probe, timer);

	assert_true(clock_ns() - probe->started_ns >= probe->delay_ms * 1000000);
	assert_true(probe->delay_ms >= last_delay_ms);
	last_delay_ms = probe->delay_ms;
	if (++fired == 8)
		loop_stop(loop);
}

static void timers_come_in_order_and_never_early(void **state)
{
	static const uint64_t delays[8] = {40, 1, 3, 0, 25, 64, 2, 65};
	struct probe probes[8];

	(void)state;
	assert_int_equal(loop_new(&loop), 0);
	for (int i = 0; i < 8; i++) {
		probes[i] = (struct probe){.started_ns = clock_ns(), .delay_ms = delays[i]};
		timer_init(&probes[i].timer, on_probe);
		timer_start(loop, &probes[i].timer, delays[i]);
	}
	assert_int_equal(loop_run(loop), 0);
	assert_int_equal(fired, 8);
	loop_free(loop);
}

static struct timer first, second;
static bool second_ran;

static void on_second(struct timer *timer)
{
	(void)timer;
	second_ran = true;
	loop_stop(loop);
}

static void stop_second(struct timer *timer)
{
	if (timer == &first)
		timer_stop(loop, &second);
	timer_start(loop, timer, 5);
	timer->on_due = on_second;
}

static void a_timer_due_in_the_same_turn_can_still_be_stopped(void **state)
{
	(void)state;
	assert_int_equal(loop_new(&loop), 0);
	timer_init(&first, stop_second);
	timer_init(&second, on_second);
	timer_start(loop, &first, 1);
	timer_start(loop, &second, 1);
	timer_stop(loop, &second);
	timer_stop(loop, &second); /* twice is fine */
	timer_start(loop, &second, 1);
	second_ran = false;
	assert_int_equal(loop_run(loop), 0);
	assert_true(second_ran); /* by <first>, moved */
	assert_false(timer_running(&second));
	assert_false(timer_running(&first));
	loop_free(loop);
}

static int ticks;

static void tick(struct timer *timer)
{
	if (++ticks == 5)
		loop_stop(loop);
	else
		timer_start(loop, timer, 0);
}

static void count_turns(void *ctx)
{
	++*(int *)ctx;
}

static void a_timer_that_starts_itself_without_delay_waits_for_the_next_turn(void **state)
{
	struct timer timer;
	int turns = 0;

	(void)state;
	assert_int_equal(loop_new(&loop), 0);
	loop_on_wait(loop, count_turns, NULL, &turns);
	timer_init(&timer, tick);
	timer_start(loop, &timer, 0);
	assert_int_equal(loop_run(loop), 0);
	assert_true(turns >= 5);
	loop_free(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_timer_is_due_in_its_millisecond_and_not_before),
		cmocka_unit_test(following_the_wheels_own_hints_finds_each_timer_on_time),
		cmocka_unit_test(thousands_of_timers_moved_and_stopped_keep_their_order),
		cmocka_unit_test(a_stopped_timer_leaves_no_wakeup_behind),
		cmocka_unit_test(times_beyond_the_wheel_are_cut_not_lost),
		cmocka_unit_test(timers_come_in_order_and_never_early),
		cmocka_unit_test(a_timer_due_in_the_same_turn_can_still_be_stopped),
		cmocka_unit_test(a_timer_that_starts_itself_without_delay_waits_for_the_next_turn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
