/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "algorithm/registry.h"

#include <stdlib.h>
#include <xxhash.h>

/*
 * Eisenbud et al.: Maglev: A Fast and Reliable Software Network Load Balancer (NSDI 2016), section
 * 3.4. Every member walks its own permutation of the slots; they take turns at claiming the next
 * free one. Weights: the heaviest member claims in every round, the others in proportion, until
 * each has its share.
 */

/*
 * Slots per member, at least. With 100 the removal of one member of 100 moves about 1.3% of the
 * slots of others, with this about 0.6%: it falls as tables grow.
 */
#define SLOTS_PER_MEMBER 400

#define FREE_SLOT UINT16_MAX

/* Part of every table: two lbds agree only if these do. */
#define SEED_OFFSET 0x6c62642d6d676c76ULL
#define SEED_SKIP   0x736b69702d6d676cULL

static const uint32_t primes[] = {251, 509, 1021, 2039, 4093, 8191, 16381, 32749, LB_MAX_TABLE};

struct walker {
	uint32_t slot; /* where its permutation stands */
	uint32_t skip;
	uint32_t share; /* slots it may still claim */
	uint32_t credit;
};

static uint32_t size_for(uint32_t members)
{
	uint32_t wanted = members < LB_MAX_TABLE / SLOTS_PER_MEMBER ? members * SLOTS_PER_MEMBER
								    : LB_MAX_TABLE;
	uint32_t i = 0;

	while (primes[i] < wanted)
		i++;
	return primes[i];
}

static uint64_t hash(const struct addr *addr, uint64_t seed)
{
	uint8_t bytes[sizeof(addr->ip) + sizeof(addr->port)];

	memcpy(bytes, addr->ip, sizeof(addr->ip));
	memcpy(bytes + sizeof(addr->ip), &addr->port, sizeof(addr->port));
	return XXH64(bytes, sizeof(bytes), seed);
}

static uint32_t heaviest(const struct view *view)
{
	uint32_t weight = 0;

	for (uint32_t i = 0; i < view->count; i++)
		weight = view->members[i].weight > weight ? view->members[i].weight : weight;
	return weight;
}

static void start(const struct view *view, uint32_t size, const uint32_t *shares,
		  struct walker *walkers)
{
	uint32_t max_weight = heaviest(view);

	for (uint32_t i = 0; i < view->count; i++) {
		const struct view_member *member = &view->members[i];

		walkers[i] = (struct walker){
			.slot = (uint32_t)(hash(&member->addr, SEED_OFFSET) % size),
			.skip = (uint32_t)(hash(&member->addr, SEED_SKIP) % (size - 1)) + 1,
			.share = shares[i],
			.credit = max_weight - member->weight,
		};
	}
}

/* <size> is prime and a slot is free, so the walk comes to it. */
static void claim(struct walker *walker, uint32_t size, uint16_t *slots, uint16_t member)
{
	while (slots[walker->slot] != FREE_SLOT) {
		walker->slot += walker->skip;
		if (walker->slot >= size)
			walker->slot -= size;
	}
	slots[walker->slot] = member;
	walker->share--;
}

/* The shares sum to <size>: when the last slot is claimed, no share is left. */
static void take_turns(const struct view *view, uint32_t size, struct walker *walkers,
		       uint16_t *slots)
{
	uint32_t max_weight = heaviest(view);
	uint32_t claimed = 0;

	while (claimed < size) {
		for (uint32_t i = 0; i < view->count; i++) {
			struct walker *walker = &walkers[i];

			walker->credit += view->members[i].weight;
			if (walker->credit < max_weight)
				continue;
			walker->credit -= max_weight;
			if (walker->share == 0)
				continue;
			claim(walker, size, slots, (uint16_t)i);
			claimed++;
		}
	}
}

uint32_t maglev_table(const struct view *view, uint32_t size, uint16_t *slots)
{
	struct walker *walkers = calloc(view->count, sizeof(*walkers));
	uint32_t *shares = calloc(view->count, sizeof(*shares));
	uint32_t filled = 0;

	if (size == 0)
		size = size_for(view->pool_size > view->count ? view->pool_size : view->count);
	if (!walkers || !shares)
		goto fail;
	shares_of(view, size, shares);
	start(view, size, shares, walkers);
	for (uint32_t i = 0; i < size; i++)
		slots[i] = FREE_SLOT;
	take_turns(view, size, walkers, slots);
	filled = size;
fail:
	free(shares);
	free(walkers);
	return filled;
}

static uint32_t pick(const struct balancer *balancer, const struct pick_key *key)
{
	XXH64_hash_t hash_of_attempt = key->hash;

	if (key->attempt > 0)
		hash_of_attempt = XXH64(&key->hash, sizeof(key->hash), key->attempt);
	return balancer->slots[hash_of_attempt % balancer->n_slots];
}

const struct algorithm_ops maglev_ops = {
	.name = "maglev",
	.choice = LB_CHOICE_TABLE_HASH,
	.table = maglev_table,
	.pick = pick,
};
