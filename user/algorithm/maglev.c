/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "algorithm/registry.h"

#include <stdlib.h>
#include <xxhash.h>

/*
 * A slot table as in Eisenbud et al.: Maglev: A Fast and Reliable Software Network Load Balancer
 * (NSDI 2016), section 3.4, filled another way. There a turn ends with a claim, however many taken
 * slots were looked at first, so that a member less makes all others claim sooner and meet in other
 * slots. Here a turn is one look at one slot: when a member looks at which slot follows from its
 * address and weight alone, and a slot belongs to who looks first, which is rendezvous hashing
 * (Thaler and Ravishankar: Using Name-Based Mappings to Increase Hit Rates, 1998). A member that
 * goes gives its slots to those who looked second, and nothing else moves.
 *
 * Chance alone gives shares that differ by some per cent, so each has a lower and an upper bound:
 * who has reached the upper one looks no more, and when the free slots are just enough for those
 * below their lower one, only they go on. What moves beside the slots of the member that went comes
 * from these bounds: it falls with the square root of the table's size, and hardly depends on how
 * many members there are.
 */

/* Bounds of a share: what is due, less and more by one in this many (1.9%), or by a slot. */
#define SLACK 52

/*
 * Of pools that are not very large, without steps: a pool that grows or shrinks keeps it. With it
 * 1 of 10 that goes moves 0.1% of the slots of others (seen: at most 0.5%), 1 of 100 moves 0.6%
 * (0.8%).
 */
#define TABLE_SIZE    16381
#define TABLE_MEMBERS 128 /* more have LB_MAX_TABLE */

#define FREE_SLOT UINT16_MAX

/* Part of every table: two lbds agree only if this does. */
#define SEED 0x6c62642d6d676c76ULL

/* Time is in ticks and 1 / TICK of them. The heaviest member that may be looks every tick. */
#define TICK  65536
#define TICKS BACKEND_MAX_WEIGHT /* between two looks of the lightest */

#define NOBODY UINT32_MAX

struct looker {
	uint64_t random; /* a counter, see look_at() */
	uint64_t time;	 /* of its next look */
	uint32_t step;	 /* time from look to look */
	uint32_t low;
	uint32_t high;
	uint32_t held;
	uint32_t next; /* the next one of the same tick, or NOBODY */
};

struct looks {
	uint32_t size;
	uint16_t *slots;
	uint32_t free;
	uint32_t spare; /* free ones that nobody needs to reach its lower bound */
	struct looker *lookers;
	uint32_t of_tick[TICKS];   /* ring by time: the first looker of a tick, or NOBODY */
	uint64_t busy[TICKS / 64]; /* ticks with anybody */
};

uint32_t table_size(uint32_t members, uint32_t steps)
{
	static const uint32_t small[] = {TABLE_SIZE, 4093, 1021, TABLE_LEAST};
	static const uint32_t large[] = {LB_MAX_TABLE, TABLE_SIZE, 4093, 1021};

	return (members <= TABLE_MEMBERS ? small
					 : large)[steps < TABLE_STEPS ? steps : TABLE_STEPS];
}

static uint64_t hash(const struct addr *addr)
{
	uint8_t bytes[sizeof(addr->ip) + sizeof(addr->port)];

	memcpy(bytes, addr->ip, sizeof(addr->ip));
	memcpy(bytes + sizeof(addr->ip), &addr->port, sizeof(addr->port));
	return XXH64(bytes, sizeof(bytes), SEED);
}

/* Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators (2014): SplitMix64. */
static uint32_t look_at(struct looker *looker, uint32_t size)
{
	uint64_t bits = looker->random += 0x9e3779b97f4a7c15ULL;

	bits = (bits ^ bits >> 30) * 0xbf58476d1ce4e5b9ULL;
	bits = (bits ^ bits >> 27) * 0x94d049bb133111ebULL;
	bits ^= bits >> 31;
	return (uint32_t)((bits >> 32) * size >> 32);
}

static void enter(struct looks *looks, uint32_t member)
{
	struct looker *looker = &looks->lookers[member];
	uint32_t tick;

	looker->time += looker->step;
	tick = (uint32_t)(looker->time / TICK % TICKS);
	looker->next = looks->of_tick[tick];
	looks->of_tick[tick] = member;
	looks->busy[tick / 64] |= 1ULL << tick % 64;
}

/* The first busy tick from <tick> on, round the ring; there is one. */
static uint32_t next_busy(const struct looks *looks, uint32_t tick)
{
	uint32_t word = tick / 64;
	uint64_t bits = looks->busy[word] & ~0ULL << tick % 64;

	while (bits == 0) {
		word = (word + 1) % (TICKS / 64);
		bits = looks->busy[word];
	}
	return word * 64 + (uint32_t)__builtin_ctzll(bits);
}

/* Whether the member will look again. */
static bool look(struct looks *looks, uint32_t member)
{
	struct looker *looker = &looks->lookers[member];
	uint32_t slot;

	if (looker->held >= looker->low && looks->spare == 0)
		return false;
	slot = look_at(looker, looks->size);
	if (looks->slots[slot] != FREE_SLOT)
		return true;
	looks->slots[slot] = (uint16_t)member;
	looks->spare -= looker->held >= looker->low;
	looks->free--;
	return ++looker->held < looker->high;
}

/*
 * Ends: the lower bounds sum to no more than there are slots, the upper ones to no less, so that
 * while a slot is free somebody may take it, and comes to it in time.
 */
static void run(struct looks *looks)
{
	uint32_t tick = 0;

	while (looks->free > 0) {
		uint32_t member;

		tick = next_busy(looks, tick);
		member = looks->of_tick[tick];
		looks->of_tick[tick] = NOBODY;
		looks->busy[tick / 64] &= ~(1ULL << tick % 64);
		tick = (tick + 1) % TICKS;
		while (member != NOBODY && looks->free > 0) {
			uint32_t next = looks->lookers[member].next;

			if (look(looks, member))
				enter(looks, member);
			member = next;
		}
	}
}

/* What <weight> is due of the slots that are left by those who get one or none. */
static void set_bounds(struct looker *looker, uint64_t weight, const struct due *due)
{
	uint64_t slots = weight * due->slots;
	uint64_t sum = due->weights;
	uint64_t low = slots * (SLACK - 1) / (SLACK * sum) + 1;
	uint64_t high = slots * (SLACK + 1) / (SLACK * sum);
	uint64_t whole = slots / sum;

	looker->low = (uint32_t)(low < whole ? low : whole);
	looker->high = (uint32_t)(high > whole ? high : whole + (slots % sum != 0));
}

static void start(struct looks *looks, const struct view *view, const uint32_t *light,
		  const struct due *due)
{
	looks->free = looks->spare = looks->size;
	for (uint32_t i = 0; i < looks->size; i++)
		looks->slots[i] = FREE_SLOT;
	for (uint32_t i = 0; i < TICKS; i++)
		looks->of_tick[i] = NOBODY;
	for (uint32_t i = 0; i < view->count; i++) {
		struct looker *looker = &looks->lookers[i];

		looker->random = hash(&view->members[i].addr);
		looker->step = TICKS * TICK / view->members[i].weight;
		looker->low = looker->high = light[i];
		if (light[i] == 0 && due->weights > 0)
			set_bounds(looker, view->members[i].weight, due);
		looks->spare -= looker->low;
		if (looker->high > 0)
			enter(looks, i);
	}
}

uint32_t maglev_table(const struct view *view, uint32_t size, uint16_t *slots)
{
	struct looks looks = {.size = size, .slots = slots};
	uint32_t *light = calloc(view->count, sizeof(*light));
	struct due due;

	if (size == 0)
		looks.size = table_size(
			view->pool_size > view->count ? view->pool_size : view->count, 0);
	looks.lookers = calloc(view->count, sizeof(*looks.lookers));
	if (light && looks.lookers) {
		light_of(view, looks.size, light, &due);
		start(&looks, view, light, &due);
		run(&looks);
	}
	size = light && looks.lookers ? looks.size : 0;
	free(looks.lookers);
	free(light);
	return size;
}

static uint32_t pick(const struct balancer *balancer, const struct pick_key *key)
{
	XXH64_hash_t hash_of_attempt = key->hash;

	if (key->attempt > 0)
		hash_of_attempt = XXH64(&key->hash, sizeof(key->hash), key->attempt);
	return slot_of(balancer, hash_of_attempt);
}

const struct algorithm_ops maglev_ops = {
	.name = "maglev",
	.choice = LB_CHOICE_TABLE_HASH,
	.table = maglev_table,
	.pick = pick,
};
