/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Timers in a hierarchical wheel: starting, moving and stopping one is O(1) and never allocates.
 *
 * For: loop.c only. Owns: the links of running timers, never the timers. May know: base.
 * Must never know: clocks; time is what wheel_advance() was told.
 *
 * Level n has 64 slots of 64^n ms. A timer lies on the level of the highest 6-bit digit in which
 * its due time and now differ, in the slot of that digit. So every slot in use lies ahead of now's
 * own digit, and the first slot of the lowest level in use is always the next to come.
 */
#ifndef NET_WHEEL_H
#define NET_WHEEL_H

#include "net/loop.h"

#define WHEEL_DIGIT  6
#define WHEEL_SLOTS  64
#define WHEEL_LEVELS 7 /* 64^7 ms: 139 years */

struct wheel {
	uint64_t now_ms;
	uint64_t used[WHEEL_LEVELS]; /* one bit per slot that holds timers */
	struct list slots[WHEEL_LEVELS][WHEEL_SLOTS];
	struct list due; /* in order; the caller takes them with wheel_pop() */
};

void wheel_init(struct wheel *wheel, uint64_t now_ms);
void wheel_put(struct wheel *wheel, struct timer *timer); /* a stopped one, with due_ms set */
void wheel_take(struct wheel *wheel, struct timer *timer);
/* Moves now forward and what is due by then to the due list. */
void wheel_advance(struct wheel *wheel, uint64_t now_ms);
/* The first timer that was due at the last wheel_advance() and still is; stopped. NULL: none. */
struct timer *wheel_pop(struct wheel *wheel);
/* When to call wheel_advance() again: never after the next due time, now and then before it.
 * UINT64_MAX: there are no timers. */
uint64_t wheel_next_ms(const struct wheel *wheel);

#endif
