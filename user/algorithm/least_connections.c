/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "algorithm/registry.h"

#include "base/random.h"

/* Pending SYNs count as connections up to here: a flood of them must not steer the choice. */
#define MAX_PENDING 64
/* Drawn at random in a view of more than LB_LEAST_EXACT members. */
#define SAMPLES 4

static uint64_t load(const struct view_member *member)
{
	uint64_t pending = live_pending(member->live);

	return live_open(member->live) + (pending < MAX_PENDING ? pending : MAX_PENDING);
}

/* load / weight, compared by multiplying crosswise: there are less than 2^55 connections. */
bool load_less(const struct view_member *a, const struct view_member *b)
{
	return load(a) * b->weight < load(b) * a->weight;
}

/* Ties go to the first one from <start> on, which turns. */
static uint32_t least_of_all(const struct view *view, uint32_t start)
{
	uint32_t best = start;

	for (uint32_t i = 1; i < view->count; i++) {
		uint32_t member = (start + i) % view->count;

		if (load_less(&view->members[member], &view->members[best]))
			best = member;
	}
	return best;
}

static uint32_t least_of_samples(const struct view *view)
{
	uint32_t best = random_below(view->count);

	for (int i = 1; i < SAMPLES; i++) {
		uint32_t member = random_below(view->count);

		if (load_less(&view->members[member], &view->members[best]))
			best = member;
	}
	return best;
}

static uint32_t pick(const struct balancer *balancer, const struct pick_key *key)
{
	const struct view *view = balancer->view;

	(void)key;
	if (view->count > LB_LEAST_EXACT)
		return least_of_samples(view);
	return least_of_all(view, turn_next(balancer) % view->count);
}

const struct algorithm_ops least_connections_ops = {
	.name = "least-connections",
	.choice = LB_CHOICE_LEAST,
	.table = table_of_members,
	.pick = pick,
};
