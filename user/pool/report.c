/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "pool/report.h"

/*
 * Cell i of round r has turn r * SIZE + i while it waits for a report, one more while it holds one.
 */

void report_queue_init(struct report_queue *queue)
{
	atomic_init(&queue->put, 0);
	atomic_init(&queue->dropped, 0);
	queue->taken = 0;
	for (uint64_t i = 0; i < REPORT_QUEUE_SIZE; i++)
		atomic_init(&queue->cells[i].turn, i);
}

bool report_put(struct report_queue *queue, const struct pool_report *report)
{
	uint64_t at = atomic_load_explicit(&queue->put, memory_order_relaxed);

	for (;;) {
		struct report_cell *cell = &queue->cells[at % REPORT_QUEUE_SIZE];
		uint64_t turn = atomic_load_explicit(&cell->turn, memory_order_acquire);

		if (turn < at) {
			atomic_fetch_add_explicit(&queue->dropped, 1, memory_order_relaxed);
			return false;
		}
		if (turn > at) {
			at = atomic_load_explicit(&queue->put, memory_order_relaxed);
			continue;
		}
		if (!atomic_compare_exchange_weak_explicit(
			    &queue->put, &at, at + 1, memory_order_relaxed, memory_order_relaxed))
			continue;
		cell->report = *report;
		atomic_store_explicit(&cell->turn, at + 1, memory_order_release);
		return true;
	}
}

bool report_take(struct report_queue *queue, struct pool_report *ret_report)
{
	struct report_cell *cell = &queue->cells[queue->taken % REPORT_QUEUE_SIZE];

	if (atomic_load_explicit(&cell->turn, memory_order_acquire) != queue->taken + 1)
		return false;
	*ret_report = cell->report;
	atomic_store_explicit(&cell->turn, queue->taken + REPORT_QUEUE_SIZE, memory_order_release);
	queue->taken++;
	return true;
}
