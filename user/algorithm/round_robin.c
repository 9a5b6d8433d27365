/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "algorithm/registry.h"

uint32_t turn_next(const struct balancer *balancer)
{
	return atomic_fetch_add_explicit(&balancer->turn->next, 1, memory_order_relaxed);
}

uint32_t turn_pick(const struct balancer *balancer, const struct pick_key *key)
{
	(void)key;
	return balancer->slots[turn_next(balancer) % balancer->n_slots];
}

const struct algorithm_ops round_robin_ops = {
	.name = "round-robin",
	.choice = LB_CHOICE_TABLE_NEXT,
	.table = table_of_members,
	.pick = turn_pick,
};
