/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The algorithms there are, and what several of them share.
 *
 * For: the factory and the algorithms' own files; nobody outside this room includes it.
 * Owns: nothing. May know: base, pool's views.
 */
#ifndef ALGORITHM_REGISTRY_H
#define ALGORITHM_REGISTRY_H

#include "algorithm/balancer.h"

extern const struct algorithm_ops round_robin_ops;
extern const struct algorithm_ops weighted_round_robin_ops;
extern const struct algorithm_ops least_connections_ops;
extern const struct algorithm_ops maglev_ops;
extern const struct algorithm_ops source_hash_ops;
extern const struct algorithm_ops random_two_ops;
extern const struct algorithm_ops least_latency_ops;

/* The next turn, 0, 1, 2, ..., each given to one caller of all threads. */
uint32_t turn_next(const struct balancer *balancer);
/* The member whose turn it is in the slot table. */
uint32_t turn_pick(const struct balancer *balancer, const struct pick_key *key);

/* Whether <a> carries less for its weight than <b>: open connections and pending SYNs. */
bool load_less(const struct view_member *a, const struct view_member *b);

/* A table that lists every member once, in order. */
uint32_t table_of_members(const struct view *view, uint32_t size, uint16_t *slots);
/* Members as often as their weight says, evenly spread; 0 when memory ran out. */
uint32_t weighted_table(const struct view *view, uint32_t size, uint16_t *slots);
/* The member in the slot of a hash: as bpf/choose.h finds it, the table spread over all hashes. */
static inline uint32_t slot_of(const struct balancer *balancer, uint64_t hash)
{
	return balancer->slots[(hash >> 32) * balancer->n_slots >> 32];
}

/* Slots, and the sum of the weights of those who share them. */
struct due {
	uint64_t slots;
	uint64_t weights;
};

/*
 * Members whose weight is worth less than one slot are light: they get one, and the others share
 * the rest, <ret_due>. With more members than slots the first ones get one each, and no weight is
 * left. 1 in <ret_light> is such a slot, 0 is none.
 */
void light_of(const struct view *view, uint32_t size, uint32_t *ret_light, struct due *ret_due);
/*
 * How many of <size> slots each member gets: in proportion to its weight, to within one slot of
 * what those below one leave over, and at least one while there are as many slots as members. They
 * sum to <size>, and are exact when the weights' sum over their greatest common divisor divides it.
 */
void shares_of(const struct view *view, uint32_t size, uint32_t *ret_shares);
/* The consistent hash table; 0 when memory ran out. */
uint32_t maglev_table(const struct view *view, uint32_t size, uint16_t *slots);

#endif
