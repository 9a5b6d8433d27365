/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "algorithm/balancer.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "algorithm/registry.h"

/* Other choices by the algorithm itself before balancer_pick looks for itself. */
#define MAX_ATTEMPTS 4

static struct turn *turn_get(const struct balancer *previous)
{
	struct turn *turn;

	if (previous) {
		atomic_fetch_add_explicit(&previous->turn->refs, 1, memory_order_relaxed);
		return previous->turn;
	}
	turn = calloc(1, sizeof(*turn));
	if (turn) {
		atomic_init(&turn->next, 0);
		atomic_init(&turn->refs, 1);
	}
	return turn;
}

static void turn_put(struct turn *turn)
{
	if (turn && atomic_fetch_sub_explicit(&turn->refs, 1, memory_order_acq_rel) == 1)
		free(turn);
}

static int make_table(struct balancer *balancer, uint32_t size)
{
	uint16_t *slots;

	if (balancer->view->count == 0)
		return 0;
	balancer->slots = malloc(LB_MAX_TABLE * sizeof(*balancer->slots));
	if (!balancer->slots)
		return -ENOMEM;
	balancer->n_slots = balancer->ops->table(balancer->view, size, balancer->slots);
	if (balancer->n_slots == 0)
		return -ENOMEM;
	assert(balancer->n_slots <= LB_MAX_TABLE);
	slots = realloc(balancer->slots, balancer->n_slots * sizeof(*slots));
	if (slots)
		balancer->slots = slots;
	return 0;
}

int balancer_new(const char *algorithm, struct view *view, const struct balancer *previous,
		 struct balancer **ret_balancer)
{
	return balancer_new_sized(algorithm, view, 0, previous, ret_balancer);
}

int balancer_new_sized(const char *algorithm, struct view *view, uint32_t size,
		       const struct balancer *previous, struct balancer **ret_balancer)
{
	const struct algorithm_ops *ops = algorithm_create(algorithm);
	struct balancer *balancer;
	int r = -ENOMEM;

	if (!ops)
		return -ENOENT;
	balancer = calloc(1, sizeof(*balancer));
	if (!balancer)
		return -ENOMEM;
	balancer->ops = ops;
	balancer->view = view_get(view);
	balancer->turn = turn_get(previous);
	if (!balancer->turn)
		goto fail;
	r = make_table(balancer, size);
	if (r < 0)
		goto fail;
	*ret_balancer = balancer;
	return 0;
fail:
	balancer_free(balancer);
	return r;
}

void balancer_free(struct balancer *balancer)
{
	if (!balancer)
		return;
	turn_put(balancer->turn);
	free(balancer->slots);
	view_put(balancer->view);
	free(balancer);
}

static bool is_tried(const struct view_member *member, const uint16_t *tried, uint32_t n_tried)
{
	for (uint32_t i = 0; i < n_tried; i++) {
		if (tried[i] == member->id)
			return true;
	}
	return false;
}

/* The least loaded of those not tried; NULL when all were. */
static const struct view_member *pick_untried(const struct balancer *balancer,
					      const uint16_t *tried, uint32_t n_tried)
{
	const struct view *view = balancer->view;
	const struct view_member *best = NULL;
	uint32_t start = turn_next(balancer) % view->count;

	for (uint32_t i = 0; i < view->count; i++) {
		const struct view_member *member = &view->members[(start + i) % view->count];

		if (is_tried(member, tried, n_tried))
			continue;
		if (!best || load_less(member, best))
			best = member;
	}
	return best;
}

const struct view_member *balancer_pick(const struct balancer *balancer, const struct pick_key *key,
					const uint16_t *tried, uint32_t n_tried)
{
	const struct view *view = balancer->view;
	struct pick_key again = *key;
	const struct view_member *first;
	const struct view_member *member;

	if (view->count == 0)
		return NULL;
	if (!tried)
		n_tried = 0;
	first = member = &view->members[balancer->ops->pick(balancer, &again)];
	while (is_tried(member, tried, n_tried) && again.attempt < MAX_ATTEMPTS) {
		again.attempt++;
		member = &view->members[balancer->ops->pick(balancer, &again)];
	}
	if (!is_tried(member, tried, n_tried))
		return member;
	member = pick_untried(balancer, tried, n_tried);
	return member ? member : first;
}

void balancer_copy(const struct balancer *balancer, struct turn *turn, struct balancer *ret_copy)
{
	atomic_init(&turn->next, atomic_load_explicit(&balancer->turn->next, memory_order_relaxed));
	atomic_init(&turn->refs, 1);
	*ret_copy = *balancer;
	ret_copy->turn = turn;
}

void balancer_ids(const struct balancer *balancer, uint16_t *ids)
{
	for (uint32_t i = 0; i < balancer->n_slots; i++)
		ids[i] = balancer->view->members[balancer->slots[i]].id;
}
