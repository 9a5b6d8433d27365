/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a change of a pool would move: the tables before and after, compared.
 *
 * For: dry runs. Owns: nothing. Pure. May know: algorithm, pool's views.
 */
#ifndef DAEMON_MOVES_H
#define DAEMON_MOVES_H

#include "algorithm/balancer.h"

struct moves {
	bool by_hash;	       /* which backend a client gets is a function of its hash */
	uint32_t slots_before; /* 0: nobody was eligible */
	uint32_t slots_after;
	uint32_t moved_slots; /* by_hash, and as many slots as before: they lead to another now */
	/* By hash: parts of all hashes, 0..1, that lead to another backend; and those of them whose
	 * backend is not eligible any more. */
	double moved;
	double needed;
};

/* <before> may be NULL: there was no such pool. */
void moves_of(const struct balancer *before, const struct balancer *after, struct moves *ret_moves);
/* The part of the table that leads to <addr>, 0..1. */
double moves_share(const struct balancer *balancer, const struct addr *addr);

#endif
