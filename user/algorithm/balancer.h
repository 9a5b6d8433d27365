/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * AlgorithmContext: one algorithm over one view, ready to be asked by any thread.
 *
 * For: proxy workers (balancer_pick) and the kernel's slot tables (balancer_slots).
 * Owns: a reference to its view and the slot table. Immutable but for one relaxed counter.
 * May know: base, pool's views. Must never know: who asks.
 */
#ifndef ALGORITHM_BALANCER_H
#define ALGORITHM_BALANCER_H

#include <stdatomic.h>

#include "algorithm/algorithm.h"

/* Whose turn it is. One for all balancers that descend from each other; the last one frees it. */
struct turn {
	atomic_uint next;
	atomic_uint refs;
};

struct balancer {
	const struct algorithm_ops *ops;
	struct view *view;
	uint16_t *slots; /* member indexes */
	uint32_t n_slots;
	struct turn *turn; /* shared with the balancer before and the one after */
};

/* -ENOENT for an unknown algorithm. Takes its own reference to <view>, which may be empty;
 * <previous> (may be NULL) hands on the round-robin counter, so that a change does not start again
 * at the first backend. */
int balancer_new(const char *algorithm, struct view *view, const struct balancer *previous,
		 struct balancer **ret_balancer);
/* The same with <size> slots, if the algorithm lets that be chosen; 0: it chooses. */
int balancer_new_sized(const char *algorithm, struct view *view, uint32_t size,
		       const struct balancer *previous, struct balancer **ret_balancer);
void balancer_free(struct balancer *balancer);
/* The chosen member, NULL when none is eligible. <tried> (may be NULL) are ids not to choose, if
 * another one is there: for retries. */
const struct view_member *balancer_pick(const struct balancer *balancer, const struct pick_key *key,
					const uint16_t *tried, uint32_t n_tried);
/* A copy for looking ahead: it picks what <balancer> would pick next, and leaves it its turn.
 * <turn> is the copy's own. Both are of use as long as <balancer> is, and are not freed. */
void balancer_copy(const struct balancer *balancer, struct turn *turn, struct balancer *ret_copy);
/* Backend ids for the kernel, one per slot. */
void balancer_ids(const struct balancer *balancer, uint16_t *ids);

#endif
