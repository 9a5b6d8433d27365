/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "pool/report.h"

#define PUTTERS 4
#define EACH	20000

static void a_full_queue_drops_and_counts(void **state)
{
	struct report_queue *queue = malloc(sizeof(*queue));
	struct pool_report report = {.reason = "word"};

	(void)state;
	assert_non_null(queue);
	report_queue_init(queue);
	assert_false(report_take(queue, &report));
	/* Twice around, so that the turns of a second round are seen. */
	for (int round = 0; round < 2; round++) {
		for (unsigned i = 0; i < REPORT_QUEUE_SIZE; i++) {
			report.backend = (uint16_t)i;
			assert_true(report_put(queue, &report));
		}
		assert_false(report_put(queue, &report));
		for (unsigned i = 0; i < REPORT_QUEUE_SIZE; i++) {
			assert_true(report_take(queue, &report));
			assert_int_equal(report.backend, i);
		}
		assert_false(report_take(queue, &report));
	}
	assert_int_equal(atomic_load(&queue->dropped), 2);
	free(queue);
}

struct putter {
	struct report_queue *queue;
	pthread_t thread;
	uint16_t id;
};

static void *put_many(void *ctx)
{
	struct putter *putter = ctx;

	for (uint64_t i = 0; i < EACH; i++) {
		struct pool_report report = {.backend = putter->id, .at_ms = i};

		while (!report_put(putter->queue, &report))
			sched_yield();
	}
	return NULL;
}

static void what_many_put_comes_once_and_in_the_order_of_each(void **state)
{
	struct report_queue *queue = malloc(sizeof(*queue));
	struct putter putters[PUTTERS];
	uint64_t next[PUTTERS] = {0};
	uint64_t n = 0;

	(void)state;
	assert_non_null(queue);
	report_queue_init(queue);
	for (uint16_t i = 0; i < PUTTERS; i++) {
		putters[i] = (struct putter){.queue = queue, .id = i};
		assert_int_equal(pthread_create(&putters[i].thread, NULL, put_many, &putters[i]),
				 0);
	}
	while (n < (uint64_t)PUTTERS * EACH) {
		struct pool_report report;

		if (!report_take(queue, &report)) {
			sched_yield();
			continue;
		}
		assert_in_range(report.backend, 0, PUTTERS - 1);
		assert_int_equal(report.at_ms, next[report.backend]);
		next[report.backend]++;
		n++;
	}
	for (int i = 0; i < PUTTERS; i++)
		pthread_join(putters[i].thread, NULL);
	assert_int_equal(n, (uint64_t)PUTTERS * EACH);
	free(queue);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_full_queue_drops_and_counts),
		cmocka_unit_test(what_many_put_comes_once_and_in_the_order_of_each),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
