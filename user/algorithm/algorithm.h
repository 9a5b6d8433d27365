/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Strategy: how one backend is chosen among the eligible ones (BaseAlgorithm), and the Factory.
 *
 * For: one file per algorithm. Owns: nothing. May know: base, pool's views.
 * Must never know: health, sockets, maps, HTTP.
 * An algorithm is a pure function of a view and a key, but for one shared counter.
 */
#ifndef ALGORITHM_ALGORITHM_H
#define ALGORITHM_ALGORITHM_H

#include <stdint.h>

#include "lb/abi.h"
#include "pool/view.h"

struct balancer;

/* What may steer a choice. */
struct pick_key {
	struct addr client;
	uint64_t hash;	  /* of the whole connection or request */
	uint32_t attempt; /* 0; balancer_pick counts it up when what it got was tried already */
};

/*
 * table: fills <slots> (room for LB_MAX_TABLE) with member indexes and returns how many: the slot
 * table both speeds use. <size> 0: as many as the algorithm finds right; only the hash tables
 *        take another. Deterministic in {address, weight} and <size>, never in ids.
 * pick:  a member index in [0, view->count); the view is not empty. Any thread.
 */
struct algorithm_ops {
	const char *name;
	enum lb_choice choice; /* what the kernel does with the table */
	bool client_only;
	uint32_t (*table)(const struct view *view, uint32_t size, uint16_t *slots);
	uint32_t (*pick)(const struct balancer *balancer, const struct pick_key *key);
};

/*
 * How many slots the hash tables (maglev, source-hash) of a pool with so many backends have: one
 * size for all pools but the very large, because most slots lead to another member in a table of
 * another size. Each of up to TABLE_STEPS steps makes it about four times smaller, for when there
 * is no room for the tables of all pools.
 */
#define TABLE_STEPS 3
#define TABLE_LEAST POOL_LEAST_TABLE
uint32_t table_size(uint32_t members, uint32_t steps);

/* The factory: NULL when there is no algorithm of that name. */
const struct algorithm_ops *algorithm_create(const char *name);

#endif
