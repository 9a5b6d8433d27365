/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "algorithm/registry.h"

#include "base/random.h"

static uint64_t latency(const struct view_member *member)
{
	return __atomic_load_n(&member->live->latency_us, __ATOMIC_RELAXED);
}

/* Latency for its weight; two that are alike are told apart by their load. A member that was never
 * measured has 0: it is preferred until it is. */
static bool faster(const struct view_member *a, const struct view_member *b)
{
	uint64_t of_a = latency(a) * b->weight;
	uint64_t of_b = latency(b) * a->weight;

	return of_a < of_b || (of_a == of_b && load_less(a, b));
}

/* The better of two draws, which may be of the same member: so the slowest is chosen now and then,
 * and its average can tell when it has recovered. */
static uint32_t pick(const struct balancer *balancer, const struct pick_key *key)
{
	const struct view *view = balancer->view;
	uint32_t first = random_below(view->count);
	uint32_t second = random_below(view->count);

	(void)key;
	return faster(&view->members[second], &view->members[first]) ? second : first;
}

/* The kernel has no average yet: it goes by connections. */
const struct algorithm_ops least_latency_ops = {
	.name = "least-latency",
	.choice = LB_CHOICE_LATENCY,
	.table = table_of_members,
	.pick = pick,
};
