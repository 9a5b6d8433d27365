/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How many requests and connections a backend has at one time, and who waits for it to have room.
 *
 * For: exchanges and relays of all workers. Owns: a gate for each backend id, a queue for each
 * pool. May know: base, net, balancers, snapshots. Must never know: what is admitted.
 *
 * A gate counts who is inside, over all workers, and never lets in more than the backend's
 * max-connections: one compare-and-swap, no lock. Only where every eligible backend of a pool is
 * full, there is a lock: that of the pool's queue, oldest first over all workers. Who leaves a gate
 * while somebody waits hands the room on to the oldest: it enters for them, and mails their loop.
 * While somebody waits, newcomers wait behind them.
 *
 * Nobody is forgotten: who waits looks at the gates after the queue's count was raised, who leaves
 * looks at the count after the gate's was lowered; both are sequentially consistent.
 */
#ifndef PROXY_ADMISSION_H
#define PROXY_ADMISSION_H

#include <stdbool.h>

#include "base/list.h"
#include "net/loop.h"
#include "proxy/snapshot.h"

struct admission;
struct worker;

#define ADMISSION_TRIED (1 + POOL_MAX_RETRIES) /* that are remembered of who waits */

/* Who asks. */
struct admission_ask {
	const struct snapshot_pool *pool;
	const struct pick_key *key;
	const uint16_t *tried; /* backends that have failed this request already */
	uint32_t n_tried;
	const struct view_member *preferred; /* goes before the algorithm's choice; NULL: none */
	bool dry;			     /* nobody enters, see admission_foresee() */
};

enum admission_result {
	ADMISSION_IN,	/* at the backend returned: admission_leave() when it is over */
	ADMISSION_NONE, /* no backend is eligible */
	ADMISSION_FULL, /* all are full, or others wait already */
};

int admission_new(struct admission **ret_admission);
void admission_free(struct admission *admission); /* the workers have ended; NULL is fine */
/* Makes queues for the pools of <snapshot>, before it is current. 0 or -ENOMEM. */
int admission_prepare(struct admission *admission, const struct snapshot *snapshot);
/* <snapshot> is current: lets in who waits for what it has that the one before had not. */
void admission_renew(struct admission *admission, const struct snapshot *snapshot);

/*
 * Bars the backends that <before> (NULL: none) has as eligible and <now> has not: connections to
 * them are not kept for later. True if there is one. For the control thread.
 */
bool admission_bar(struct admission *admission, const struct snapshot *before,
		   const struct snapshot *now);
bool admission_barred(const struct admission *admission, uint16_t backend);

enum admission_result admission_enter(struct admission *admission, const struct admission_ask *ask,
				      const struct view_member **ret_member);
/* What admission_enter() would say now; nobody is let in and no balancer's turn moves on. */
enum admission_result admission_foresee(struct admission *admission,
					const struct admission_ask *ask,
					const struct view_member **ret_member);
/* On a worker's thread. */
void admission_leave(struct worker *worker, uint32_t pool, uint16_t backend);
/* For numbers that people read. */
uint32_t admission_waiting(const struct admission *admission, uint32_t pool);
uint32_t admission_inside(const struct admission *admission, uint16_t backend);

/* ---- Waiting ------------------------------------------------------------------------------- */

struct waiter;

/* On the waiter's own loop: its owner is inside the gate of <backend>, and has to leave it; 0: the
 * pool is no more. <waiter> is freed after it. */
typedef void admission_fn(void *owner, uint16_t backend);

/* <first>: before all others, for who had room that went away. -ENOBUFS: the queue is full,
 * -ENOMEM. Who is let in is so to a backend that it has not tried, if there is one. */
int admission_wait(struct worker *worker, const struct admission_ask *ask, bool first,
		   struct waiter **ret_waiter);
void waiter_tell(struct waiter *waiter, admission_fn *fn, void *owner);
/* Gives up waiting; frees it, now or when its mail arrives. NULL is fine. */
void waiter_leave(struct waiter *waiter);

#endif
