/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "net/wheel.h"

#include <assert.h>

/* timer.index: 0 while stopped, else its slot + 1, or this for one in the due list. */
#define INDEX_DUE (WHEEL_LEVELS * WHEEL_SLOTS + 1)

/* Later than the wheel reaches is put as late as it reaches: timers are then early by decades. */
#define MAX_AHEAD ((UINT64_C(1) << (WHEEL_DIGIT * WHEEL_LEVELS - 1)) - 1)

void wheel_init(struct wheel *wheel, uint64_t now_ms)
{
	*wheel = (struct wheel){.now_ms = now_ms};
	list_init(&wheel->due);
	for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
		for (unsigned slot = 0; slot < WHEEL_SLOTS; slot++)
			list_init(&wheel->slots[level][slot]);
	}
}

static void put_due(struct wheel *wheel, struct timer *timer)
{
	timer->index = INDEX_DUE;
	list_append(&wheel->due, &timer->node);
}

void wheel_put(struct wheel *wheel, struct timer *timer)
{
	unsigned level, slot;

	assert(timer->index == 0);
	if (timer->due_ms > wheel->now_ms && timer->due_ms - wheel->now_ms > MAX_AHEAD)
		timer->due_ms = wheel->now_ms + MAX_AHEAD;
	/* Due already: the next millisecond, so that a callback that starts itself cannot hold
	 * up the turn. */
	if (timer->due_ms <= wheel->now_ms)
		timer->due_ms = wheel->now_ms + 1;
	level = (63 - (unsigned)__builtin_clzll(timer->due_ms ^ wheel->now_ms)) / WHEEL_DIGIT;
	assert(level < WHEEL_LEVELS);
	slot = (timer->due_ms >> (level * WHEEL_DIGIT)) % WHEEL_SLOTS;
	timer->index = level * WHEEL_SLOTS + slot + 1;
	wheel->used[level] |= UINT64_C(1) << slot;
	list_append(&wheel->slots[level][slot], &timer->node);
}

void wheel_take(struct wheel *wheel, struct timer *timer)
{
	unsigned level = (timer->index - 1) / WHEEL_SLOTS;
	unsigned slot = (timer->index - 1) % WHEEL_SLOTS;

	assert(timer->index != 0);
	list_remove(&timer->node);
	if (timer->index != INDEX_DUE && list_empty(&wheel->slots[level][slot]))
		wheel->used[level] &= ~(UINT64_C(1) << slot);
	timer->index = 0;
}

/* The lowest level in use; WHEEL_LEVELS: none. */
static unsigned first_level(const struct wheel *wheel)
{
	unsigned level = 0;

	while (level < WHEEL_LEVELS && !wheel->used[level])
		level++;
	return level;
}

/* When the next slot in use begins. */
static uint64_t next_slot_ms(const struct wheel *wheel)
{
	unsigned level = first_level(wheel);
	unsigned shift = level * WHEEL_DIGIT;
	uint64_t above;

	if (level == WHEEL_LEVELS)
		return UINT64_MAX;
	above = wheel->now_ms >> (shift + WHEEL_DIGIT) << (shift + WHEEL_DIGIT);
	return above | (uint64_t)__builtin_ctzll(wheel->used[level]) << shift;
}

uint64_t wheel_next_ms(const struct wheel *wheel)
{
	return list_empty(&wheel->due) ? next_slot_ms(wheel) : wheel->now_ms;
}

/* Empties the slot that begins now: its timers are due, or move to lower levels. */
static void open_slot(struct wheel *wheel)
{
	unsigned level = first_level(wheel);
	unsigned slot = (unsigned)__builtin_ctzll(wheel->used[level]);
	struct list *node;

	wheel->used[level] &= ~(UINT64_C(1) << slot);
	/* Terminates: a timer that is put again lands on a lower level. */
	while ((node = list_pop(&wheel->slots[level][slot]))) {
		struct timer *timer = container_of(node, struct timer, node);

		timer->index = 0;
		if (timer->due_ms <= wheel->now_ms)
			put_due(wheel, timer);
		else
			wheel_put(wheel, timer);
	}
}

void wheel_advance(struct wheel *wheel, uint64_t now_ms)
{
	uint64_t next_ms;

	while ((next_ms = next_slot_ms(wheel)) <= now_ms) {
		wheel->now_ms = next_ms;
		open_slot(wheel);
	}
	if (now_ms > wheel->now_ms)
		wheel->now_ms = now_ms;
}

struct timer *wheel_pop(struct wheel *wheel)
{
	struct list *node = list_pop(&wheel->due);
	struct timer *timer;

	if (!node)
		return NULL;
	timer = container_of(node, struct timer, node);
	timer->index = 0;
	return timer;
}
