/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Choosing a backend for a new flow, once per flow.
 *
 * Owns: lb_pool.next and lb_live.pending_in: the chosen backend is charged at the moment of choice,
 * so that the next choice on any CPU sees it. Who does not use the choice takes it back.
 * May know: hash.h.
 */
#ifndef LB_CHOOSE_H
#define LB_CHOOSE_H

#include "hash.h"

#define CHOOSE_TRIES   4    /* backends tried when a client port is in use to one of them */
#define CHOOSE_SCAN    1024 /* slots looked at for an eligible backend */
#define CHOOSE_SAMPLES 4    /* members compared by LEAST above LB_LEAST_EXACT */
#define PENDING_MOST   64   /* pending flows that count: a flood must not move the choice */

/* A choice in the making. */
struct choice {
	__u32 offset; /* the table in lb_slots */
	__u32 size;
	__u32 start;   /* the slot to look at first */
	__u32 backend; /* the best so far, 0: none */
	__u32 slot;    /* where it is */
	__u32 weight;  /* of the best */
	__u64 load;
	__u64 pending_in; /* of the best, as compared */
	__u32 latency;	  /* loads are times to answer a SYN */
	__u32 pad;
	__u32 avoid[CHOOSE_TRIES]; /* backends that were tried */
};

static __always_inline __u32 choice_slot(const struct choice *choice, __u32 slot)
{
	__u32 at = choice->offset + slot;
	__u32 line_at = at / 4;
	struct lb_slot_line *line = bpf_map_lookup_elem(&lb_slots, &line_at);

	return line ? line->id[at & 3] : 0;
}

static __always_inline bool choice_avoids(const struct choice *choice, __u32 backend)
{
	for (int i = 0; i < CHOOSE_TRIES; i++)
		if (choice->avoid[i] == backend)
			return true;
	return false;
}

/* The backend of a slot if it may be chosen, else 0. */
static __always_inline __u32 choice_eligible(const struct choice *choice, __u32 slot,
					     __u32 *ret_weight)
{
	__u32 id = choice_slot(choice, slot);
	struct lb_backend *backend;

	if (!id || choice_avoids(choice, id))
		return 0;
	backend = backend_at(id);
	if (!backend || !(READ_ONCE(backend->flags) & LB_BACKEND_ELIGIBLE))
		return 0;
	*ret_weight = READ_ONCE(backend->weight);
	return id;
}

/*
 * The <i>th slot from the start, round the table; <i> is less than its size. Computed from <i>: a
 * slot stepped in memory has another value in each turn for the verifier to follow.
 */
static __always_inline __u32 choice_step(const struct choice *choice, __u32 i)
{
	__u32 slot = choice->start + i;

	return slot < choice->size ? slot : slot - choice->size;
}

/* bpf_loop: takes the first eligible backend. */
static long choice_walk_step(__u32 i, struct choice *choice)
{
	__u32 slot = choice_step(choice, i);
	__u32 weight;

	choice->backend = choice_eligible(choice, slot, &weight);
	choice->slot = slot;
	return choice->backend ? 1 : 0;
}

static __always_inline void choice_walk(struct choice *choice)
{
	__u32 steps = choice->size < CHOOSE_SCAN ? choice->size : CHOOSE_SCAN;

	bpf_loop(steps, choice_walk_step, choice, 0);
}

static __always_inline void choice_take_slot(struct choice *choice, __u32 slot)
{
	choice->start = slot;
	if (!choice_walk_step(0, choice))
		choice_walk(choice);
}

/* Open connections of both speeds, and those on their way. */
static __always_inline __u64 live_load(const struct lb_live *live, __u64 pending_in)
{
	__s64 pending = pending_in - READ_ONCE(live->pending_out);
	__s64 open = READ_ONCE(live->opened) - READ_ONCE(live->closed) +
		     READ_ONCE(live->proxy_opened) - READ_ONCE(live->proxy_closed);

	if (pending > PENDING_MOST)
		pending = PENDING_MOST;
	/* Fields are read one by one: a moment's difference may be below zero. */
	return (open > 0 ? open : 0) + (pending > 0 ? pending : 0);
}

/* bpf_loop: keeps the better of the best and the <i>th member; the earlier one in a tie. */
static long choice_compare_step(__u32 i, struct choice *choice)
{
	__u32 slot = choice_step(choice, i);
	__u32 weight = 0;
	__u32 id = choice_eligible(choice, slot, &weight);
	struct lb_live *live = live_at(id);
	__u64 pending_in;
	__u64 load;

	if (!id || !weight || !live)
		return 0;
	pending_in = READ_ONCE(live->pending_in);
	load = choice->latency ? READ_ONCE(live->syn_us) : live_load(live, pending_in);
	if (choice->backend && load * choice->weight >= choice->load * weight)
		return 0;
	choice->backend = id;
	choice->slot = slot;
	choice->weight = weight;
	choice->load = load;
	choice->pending_in = pending_in;
	return 0;
}

static __always_inline __u32 random_below(__u32 limit)
{
	return (__u64)bpf_get_prandom_u32() * limit >> 32;
}

/* bpf_loop; two draws in a row are two members if there are two. */
static long choice_sample_step(__u32 i, struct choice *choice)
{
	__u32 slot = random_below(choice->size);

	if (i && choice->size > 1) {
		slot = choice->start + 1 + random_below(choice->size - 1);
		if (slot >= choice->size)
			slot -= choice->size;
	}
	choice->start = slot;
	return choice_compare_step(0, choice);
}

static __always_inline void choice_sample(struct choice *choice, __u32 samples)
{
	choice->backend = 0;
	bpf_loop(samples, choice_sample_step, choice, 0);
	if (!choice->backend)
		choice_take_slot(choice, random_below(choice->size));
}

/* Whose turn it is. */
static __always_inline __u32 pool_turn(struct lb_pool *pool)
{
	return dry ? READ_ONCE(pool->next) : __sync_fetch_and_add(&pool->next, 1);
}

static __always_inline void choice_least(struct choice *choice, struct lb_pool *pool)
{
	if (choice->size > LB_LEAST_EXACT) {
		choice_sample(choice, CHOOSE_SAMPLES);
		return;
	}
	choice->backend = 0;
	choice->start = pool_turn(pool) % choice->size;
	bpf_loop(choice->size, choice_compare_step, choice, 0);
}

static __always_inline __u32 choice_hash(const struct lb_pool *pool, const struct lb_flow_key *key)
{
	__u64 hash = hash_mix(pool->hash_seed ^ key->saddr.q[0]);

	hash = hash_mix(hash ^ key->saddr.q[1]);
	if (pool->client_only)
		return hash >> 32;
	hash = hash_mix(hash ^ key->daddr.q[0]);
	hash = hash_mix(hash ^ key->daddr.q[1]);
	return hash_mix(hash ^ ((__u64)key->sport << 16 | key->dport)) >> 32;
}

static __always_inline void choice_charge(struct choice *choice)
{
	struct lb_live *live = live_at(choice->backend);

	if (live && !dry)
		__sync_fetch_and_add(&live->pending_in, 1);
}

static __always_inline void choice_refund(const struct choice *choice)
{
	struct lb_live *live = live_at(choice->backend);

	if (live && !dry)
		__sync_fetch_and_add(&live->pending_out, 1);
}

/* As choice_charge(), but only if nobody charged the backend since it was compared. */
static __always_inline bool choice_charge_if_same(struct choice *choice)
{
	struct lb_live *live = live_at(choice->backend);

	return !live || dry ||
	       __sync_val_compare_and_swap(&live->pending_in, choice->pending_in,
					   choice->pending_in + 1) == choice->pending_in;
}

/* One comparison of the members. Its callbacks' context must be on its own stack. */
VERIFIED_ALONE int choose_least(struct choice *ret_choice, struct lb_pool *pool)
{
	struct choice choice;

	if (!ret_choice || !pool)
		return 0;
	choice = *ret_choice;
	choice.latency = pool->choice == LB_CHOICE_LATENCY;
	if (pool->choice != LB_CHOICE_LEAST)
		choice_sample(&choice, 2);
	else
		choice_least(&choice, pool);
	*ret_choice = choice;
	return 0;
}

/* Compares and charges as one step: a choice that another CPU made meanwhile is compared again. */
static __always_inline void choice_of_least(struct choice *choice, struct lb_pool *pool)
{
	for (int i = 0; i < LB_CAS_TRIES; i++) {
		choose_least(choice, pool);
		if (!choice->backend || !choice->load)
			break;
		if (choice_charge_if_same(choice))
			return;
	}
	if (choice->backend)
		choice_charge(choice);
}

/* For packets that get no record: the same choice each time. */
static __always_inline void choice_untracked(struct choice *choice, const struct lb_pool *pool,
					     const struct lb_flow_key *key)
{
	choice_take_slot(choice, (__u64)choice_hash(pool, key) * choice->size >> 32);
}

static __always_inline void choice_of_table(struct choice *choice, struct lb_pool *pool,
					    const struct lb_flow_key *key)
{
	if (pool->choice == LB_CHOICE_TABLE_HASH)
		choice_take_slot(choice, (__u64)choice_hash(pool, key) * choice->size >> 32);
	else
		choice_take_slot(choice, pool_turn(pool) % choice->size);
	if (choice->backend)
		choice_charge(choice);
}

/*
 * The first choice, into <ret_choice>; its backend 0: nobody is eligible. <untracked>: nobody is
 * charged.
 */
VERIFIED_ALONE int choose(struct choice *ret_choice, struct lb_pool *pool,
			  const struct lb_flow_key *key, bool untracked)
{
	struct choice choice = {}; /* bpf_loop wants it on this function's stack */
	__u64 table;

	if (!ret_choice || !pool || !key)
		return 0;
	table = READ_ONCE(pool->table);
	choice.offset = LB_TABLE_OFFSET(table);
	choice.size = LB_TABLE_SIZE(table);
	if (!choice.size)
		return 0;
	if (untracked)
		choice_untracked(&choice, pool, key);
	else if (pool->choice >= LB_CHOICE_LEAST)
		choice_of_least(&choice, pool);
	else
		choice_of_table(&choice, pool, key);
	*ret_choice = choice;
	return 0;
}

/* The next one after the <tried>th could not be used: it is refunded and avoided. */
VERIFIED_ALONE int choose_again(struct choice *old, __u32 tried)
{
	struct choice choice;

	if (!old)
		return 0;
	choice = *old;
	choice_refund(&choice);
	if (tried < CHOOSE_TRIES)
		choice.avoid[tried] = choice.backend;
	choice_take_slot(&choice, choice.slot);
	if (choice.backend)
		choice_charge(&choice);
	*old = choice;
	return 0;
}

#endif
