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
 * Members whose due is below one slot are light: they get one, and leave the rest of the slots to
 * the others, some of which may become light by it. Light members have their share set to 1, the
 * others to 0. Every round but the last finds one more, so it ends.
 */
static void settle_light(const struct view *view, uint64_t *size, uint64_t *sum, uint32_t *shares)
{
	bool found = true;

	while (found) {
		uint64_t due_size = *size;
		uint64_t due_sum = *sum;

		found = false;
		for (uint32_t i = 0; i < view->count; i++) {
			uint64_t weight = view->members[i].weight;

			if (shares[i] != 0 || weight * due_size >= due_sum)
				continue;
			shares[i] = 1;
			*size -= 1;
			*sum -= weight;
			found = true;
		}
	}
}

void shares_of(const struct view *view, uint32_t size, uint32_t *ret_shares)
{
	uint64_t rest = size;
	uint64_t sum = 0;
	uint64_t before = 0;

	for (uint32_t i = 0; i < view->count; i++) {
		ret_shares[i] = view->count >= size && i < size;
		sum += view->members[i].weight;
	}
	if (view->count >= size)
		return;
	settle_light(view, &rest, &sum, ret_shares);
	/* Rounding the running total, not each share: nobody is off by one, and the sum is exact.
	 */
	for (uint32_t i = 0; i < view->count; i++) {
		uint64_t after = before + view->members[i].weight;

		if (ret_shares[i] != 0)
			continue;
		ret_shares[i] = (uint32_t)(after * rest / sum - before * rest / sum);
		before = after;
	}
}
