/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "algorithm/registry.h"

#include <assert.h>
#include <stdlib.h>

/*
 * A member with share k of L slots has its j-th slot within [j * L / k, (j + 1) * L / k): no part
 * of the table has too much or too little of anybody, by less than one slot. Taking the one with
 * the earliest deadline among those whose window has begun meets every window (Baruah, Cohen,
 * Plaxton, Varvel: Proportionate Progress, 1996; Tijdeman: The Chairman Assignment Problem, 1980).
 */

#define NOBODY UINT32_MAX

struct turns {
	uint32_t share;
	uint32_t done;
	uint32_t deadline; /* the slot before which the next one has to come */
	uint32_t waiting;  /* the next member that waits for the same slot, or NOBODY */
};

struct schedule {
	uint32_t length;
	struct turns *turns; /* by member */
	uint32_t *waits_for; /* by slot: the first member whose window begins there */
	uint32_t *ready;     /* heap of members: earliest deadline, then lowest index */
	uint32_t n_ready;
};

static bool before(const struct schedule *schedule, uint32_t a, uint32_t b)
{
	uint32_t of_a = schedule->turns[a].deadline;
	uint32_t of_b = schedule->turns[b].deadline;

	return of_a != of_b ? of_a < of_b : a < b;
}

static void push(struct schedule *schedule, uint32_t member)
{
	uint32_t *heap = schedule->ready;
	uint32_t at = schedule->n_ready++;

	for (; at > 0 && before(schedule, member, heap[(at - 1) / 2]); at = (at - 1) / 2)
		heap[at] = heap[(at - 1) / 2];
	heap[at] = member;
}

static uint32_t pop(struct schedule *schedule)
{
	uint32_t *heap = schedule->ready;
	uint32_t first = heap[0];
	uint32_t last = heap[--schedule->n_ready];
	uint32_t at = 0;

	for (uint32_t child = 1; child < schedule->n_ready; child = 2 * at + 1) {
		if (child + 1 < schedule->n_ready && before(schedule, heap[child + 1], heap[child]))
			child++;
		if (!before(schedule, heap[child], last))
			break;
		heap[at] = heap[child];
		at = child;
	}
	heap[at] = last;
	return first;
}

/* Its next window: ready if it has begun by <slot>, else it waits. */
static void enter(struct schedule *schedule, uint32_t member, uint32_t slot)
{
	struct turns *turns = &schedule->turns[member];
	uint64_t length = schedule->length;
	uint32_t begin;

	if (turns->done == turns->share)
		return;
	begin = (uint32_t)(turns->done * length / turns->share);
	turns->deadline =
		(uint32_t)(((turns->done + 1) * length + turns->share - 1) / turns->share);
	if (begin <= slot) {
		push(schedule, member);
		return;
	}
	turns->waiting = schedule->waits_for[begin];
	schedule->waits_for[begin] = member;
}

static void run(struct schedule *schedule, uint32_t members, uint16_t *slots)
{
	for (uint32_t i = 0; i < members; i++)
		enter(schedule, i, 0);
	for (uint32_t slot = 0; slot < schedule->length; slot++) {
		uint32_t member = schedule->waits_for[slot];

		for (; member != NOBODY; member = schedule->turns[member].waiting)
			push(schedule, member);
		assert(schedule->n_ready > 0); /* the windows of all members fill the table */
		member = pop(schedule);
		slots[slot] = (uint16_t)member;
		schedule->turns[member].done++;
		enter(schedule, member, slot);
	}
}

static uint32_t gcd(uint32_t a, uint32_t b)
{
	while (b != 0) {
		uint32_t rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

/* The shortest table with the exact ratio, or the longest there is. */
static uint32_t length_for(const struct view *view)
{
	uint32_t divisor = view->members[0].weight;
	uint32_t sum = divisor;

	for (uint32_t i = 1; i < view->count; i++) {
		divisor = gcd(divisor, view->members[i].weight);
		sum += view->members[i].weight;
	}
	sum /= divisor;
	return sum < LB_MAX_TABLE ? sum : LB_MAX_TABLE;
}

uint32_t weighted_table(const struct view *view, uint32_t size, uint16_t *slots)
{
	struct schedule schedule = {.length = length_for(view)};
	uint32_t *shares = calloc(view->count, sizeof(*shares));
	uint32_t filled = 0;

	(void)size;
	schedule.turns = calloc(view->count, sizeof(*schedule.turns));
	schedule.ready = calloc(view->count, sizeof(*schedule.ready));
	schedule.waits_for = calloc(schedule.length, sizeof(*schedule.waits_for));
	if (!shares || !schedule.turns || !schedule.ready || !schedule.waits_for)
		goto fail;
	shares_of(view, schedule.length, shares);
	for (uint32_t i = 0; i < view->count; i++)
		schedule.turns[i] = (struct turns){.share = shares[i]};
	for (uint32_t i = 0; i < schedule.length; i++)
		schedule.waits_for[i] = NOBODY;
	run(&schedule, view->count, slots);
	filled = schedule.length;
fail:
	free(schedule.waits_for);
	free(schedule.ready);
	free(schedule.turns);
	free(shares);
	return filled;
}

const struct algorithm_ops weighted_round_robin_ops = {
	.name = "weighted-round-robin",
	.choice = LB_CHOICE_TABLE_NEXT,
	.table = weighted_table,
	.pick = turn_pick,
};
