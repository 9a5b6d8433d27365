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

/* All are alike but those that start slowly: they have their turn less often. */
static uint32_t table(const struct view *view, uint32_t size, uint16_t *slots)
{
	struct view *alike;
	uint32_t n, i = 0;

	while (i < view->count && view->members[i].ramp == view->members[0].ramp)
		i++;
	if (i == view->count || view_new(view->count, view->pool_size, &alike) < 0)
		return table_of_members(view, size, slots);
	for (i = 0; i < view->count; i++)
		alike->members[i].weight = view->members[i].ramp;
	n = weighted_table(alike, size, slots);
	view_put(alike);
	return n;
}

const struct algorithm_ops round_robin_ops = {
	.name = "round-robin",
	.choice = LB_CHOICE_TABLE_NEXT,
	.table = table,
	.pick = turn_pick,
};
