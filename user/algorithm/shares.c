/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "algorithm/registry.h"

#include <stdbool.h>

uint32_t table_of_members(const struct view *view, uint32_t size, uint16_t *slots)
{
	uint32_t count = view->count < LB_MAX_TABLE ? view->count : LB_MAX_TABLE;

	(void)size;
	for (uint32_t i = 0; i < count; i++)
		slots[i] = (uint16_t)i;
	return count;
}

/*
 * Some members may become light by what the light ones are given. Every round but the last finds
 * one more, so it ends.
 */
static void settle_light(const struct view *view, struct due *due, uint32_t *light)
{
	bool found = true;

	while (found) {
		struct due before = *due;

		found = false;
		for (uint32_t i = 0; i < view->count; i++) {
			uint64_t weight = view->members[i].weight;

			if (light[i] != 0 || weight * before.slots >= before.weights)
				continue;
			light[i] = 1;
			due->slots -= 1;
			due->weights -= weight;
			found = true;
		}
	}
}

void light_of(const struct view *view, uint32_t size, uint32_t *ret_light, struct due *ret_due)
{
	struct due due = {.slots = size};

	for (uint32_t i = 0; i < view->count; i++) {
		ret_light[i] = view->count >= size && i < size;
		due.weights += view->members[i].weight;
	}
	if (view->count < size)
		settle_light(view, &due, ret_light);
	else
		due = (struct due){0};
	*ret_due = due;
}

void shares_of(const struct view *view, uint32_t size, uint32_t *ret_shares)
{
	uint64_t before = 0;
	struct due due;

	light_of(view, size, ret_shares, &due);
	/* Rounding the running total, not each share: nobody is off by one, and the sum is exact.
	 */
	for (uint32_t i = 0; due.weights > 0 && i < view->count; i++) {
		uint64_t after = before + view->members[i].weight;

		if (ret_shares[i] != 0)
			continue;
		ret_shares[i] = (uint32_t)(after * due.slots / due.weights -
					   before * due.slots / due.weights);
		before = after;
	}
}
