/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "daemon/moves.h"

/* Hashes that are tried when the tables differ in size. */
#define SAMPLES 262144

/* Every hash of a sequence that covers all remainders evenly (Weyl, golden ratio). */
#define GOLDEN 0x9e3779b97f4a7c15ULL

static const struct addr *at(const struct balancer *balancer, uint64_t hash)
{
	return &balancer->view->members[balancer->slots[hash % balancer->n_slots]].addr;
}

static bool has(const struct balancer *balancer, const struct addr *addr)
{
	for (uint32_t i = 0; i < balancer->view->count; i++) {
		if (addr_equal(&balancer->view->members[i].addr, addr))
			return true;
	}
	return false;
}

static void compare(const struct balancer *before, const struct balancer *after,
		    struct moves *moves)
{
	bool same_size = before->n_slots == after->n_slots;
	uint32_t tries = same_size ? before->n_slots : SAMPLES;
	uint32_t moved = 0;
	uint32_t needed = 0;

	for (uint32_t i = 0; i < tries; i++) {
		uint64_t hash = same_size ? i : (i * GOLDEN) >> 16;
		const struct addr *from = at(before, hash);

		if (addr_equal(from, at(after, hash)))
			continue;
		moved++;
		needed += !has(after, from);
	}
	moves->moved_slots = same_size ? moved : 0;
	moves->moved = (double)moved / tries;
	moves->needed = (double)needed / tries;
}

void moves_of(const struct balancer *before, const struct balancer *after, struct moves *ret_moves)
{
	struct moves moves = {
		.by_hash = after->ops->choice == LB_CHOICE_TABLE_HASH && before &&
			   before->ops->choice == LB_CHOICE_TABLE_HASH,
		.slots_before = before ? before->n_slots : 0,
		.slots_after = after->n_slots,
	};

	if (moves.by_hash && moves.slots_before && moves.slots_after)
		compare(before, after, &moves);
	*ret_moves = moves;
}

double moves_share(const struct balancer *balancer, const struct addr *addr)
{
	uint32_t slots = 0;

	for (uint32_t i = 0; balancer && i < balancer->n_slots; i++)
		slots += addr_equal(&balancer->view->members[balancer->slots[i]].addr, addr);
	return slots ? (double)slots / balancer->n_slots : 0;
}
