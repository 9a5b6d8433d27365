/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "daemon/moves.h"

#include <stdlib.h>

static const struct addr *at(const struct balancer *balancer, uint32_t slot)
{
	return &balancer->view->members[balancer->slots[slot]].addr;
}

static int compare_with_member(const void *addr, const void *member)
{
	return addr_compare(addr, &((const struct view_member *)member)->addr);
}

static bool has(const struct balancer *balancer, const struct addr *addr)
{
	const struct view *view = balancer->view;

	return bsearch(addr, view->members, view->count, sizeof(view->members[0]),
		       compare_with_member);
}

/*
 * Both tables are spread over all hashes, as the kernel does it: slot i of n is from i / n to
 * (i + 1) / n. A piece is where one slot of each overlap; lengths are in 1 / (n * m).
 */
static void compare(const struct balancer *before, const struct balancer *after,
		    struct moves *moves)
{
	uint64_t n = before->n_slots;
	uint64_t m = after->n_slots;
	uint64_t moved = 0;
	uint64_t needed = 0;
	uint64_t end;

	for (uint64_t pos = 0, i = 0, j = 0; pos < n * m; pos = end) {
		const struct addr *from = at(before, (uint32_t)i);
		bool same = addr_equal(from, at(after, (uint32_t)j));
		uint64_t of_before = (i + 1) * m;
		uint64_t of_after = (j + 1) * n;

		end = of_before < of_after ? of_before : of_after;
		moved += same ? 0 : end - pos;
		needed += same || has(after, from) ? 0 : end - pos;
		i += end == of_before;
		j += end == of_after;
	}
	moves->moved_slots = n == m ? (uint32_t)(moved / m) : 0;
	moves->moved = (double)moved / (double)(n * m);
	moves->needed = (double)needed / (double)(n * m);
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
