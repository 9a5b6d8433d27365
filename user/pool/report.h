/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What traffic saw of backends that fail: a bounded queue from many threads to one.
 *
 * For: workers (put), the control thread (take). Owns: its cells. Knows: nobody.
 * Nobody waits: a full queue drops the report and counts it. (After D. Vyukov's bounded queue:
 * each cell has a number that says whose turn it is.)
 */
#ifndef POOL_REPORT_H
#define POOL_REPORT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define REPORT_QUEUE_SIZE 1024 /* a power of two */

struct pool_report {
	uint16_t backend;
	const char *reason; /* a constant word: "connect_refused" */
	uint64_t at_ms;	    /* monotonic */
};

struct report_cell {
	_Atomic uint64_t turn;
	struct pool_report report;
};

struct report_queue {
	_Atomic uint64_t put;
	uint64_t taken;
	_Atomic uint64_t dropped;
	struct report_cell cells[REPORT_QUEUE_SIZE];
};

void report_queue_init(struct report_queue *queue);
bool report_put(struct report_queue *queue, const struct pool_report *report); /* any thread */
bool report_take(struct report_queue *queue, struct pool_report *ret_report);  /* one thread */

#endif
