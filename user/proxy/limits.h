/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How many client connections there may be, in all and of a service, over all workers.
 *
 * For: listeners, which stop accepting where there is no room: clients wait in the kernel's
 * backlog. Owns: the counts, the list of workers that wait. May know: net, workers.
 *
 * A listener reserves before it accepts and gives the reservation back when the session is counted,
 * so the limits are never exceeded. A worker whose listener found no room is told by whoever makes
 * some. Nobody is forgotten: it looks again after it was listed, the others look at the list after
 * they have made room.
 */
#ifndef PROXY_LIMITS_H
#define PROXY_LIMITS_H

#include <stdbool.h>

#include "base/list.h"
#include "net/loop.h"
#include "proxy/snapshot.h"

struct limits;
struct worker;

/* A worker's part. */
struct limits_waiter {
	struct list paused; /* its listeners that found no room; its own thread only */
	struct list node;   /* in the list of those who wait, under its lock */
	struct mail mail;
	atomic_bool mailed;
};

int limits_new(struct limits **ret_limits);
void limits_free(struct limits *limits); /* NULL is fine */
/* In all; 0: any number. Those who wait look again. Control thread, as limits_changed(). */
void limits_set(struct limits *limits, uint32_t max);
void limits_changed(struct limits *limits); /* that of a service may have */

/* Why limits_reserve() would say no now, a constant word; NULL: it would not. */
const char *limits_full(const struct limits *limits, uint32_t service_id, uint32_t service_max);

/* Of a worker's thread: */
void limits_join(struct worker *worker);
void limits_leave(struct worker *worker); /* its thread has ended, or will */
bool limits_reserve(struct worker *worker, uint32_t service_id, uint32_t service_max);
void limits_give_back(struct worker *worker, uint32_t service_id);
void limits_count(struct worker *worker, uint32_t service_id); /* a session that was reserved */
/* Runs <source> again when there may be room. */
void limits_pause(struct worker *worker, struct list *paused);

#endif
