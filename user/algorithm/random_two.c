/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "algorithm/registry.h"

#include "base/random.h"

/* The less loaded of two different members (Mitzenmacher: The Power of Two Choices in Randomized
 * Load Balancing, 2001). */
static uint32_t pick(const struct balancer *balancer, const struct pick_key *key)
{
	const struct view *view = balancer->view;
	uint32_t first = random_below(view->count);
	uint32_t second;

	(void)key;
	if (view->count == 1)
		return first;
	second = random_below(view->count - 1);
	second += second >= first;
	return load_less(&view->members[second], &view->members[first]) ? second : first;
}

const struct algorithm_ops random_two_ops = {
	.name = "random-two",
	.choice = LB_CHOICE_TWO,
	.table = table_of_members,
	.pick = pick,
};
