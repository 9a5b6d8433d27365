/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Flow records: who gets one, and when it is free again.
 *
 * Owns: the words of free and claimed records, lb_meta.live_flows. A record's generation grows each
 * time it is taken, so that what names it for somebody else can be told.
 * May know: find.h.
 */
#ifndef LB_RECORD_H
#define LB_RECORD_H

#include "find.h"

/* What a look at a key's sets found. */
struct vacancy {
	__u64 word; /* of the record */
	__u32 record;
	__u32 home;
};

/* Whether the record is of the same client and not over; of one that is free it is noted. */
static __always_inline bool record_holds(const struct lb_flow_key *key, __u32 record,
					 struct vacancy *vacancy)
{
	const struct lb_flow *flow = flow_at(record);
	__u64 word;

	if (!flow)
		return false;
	word = READ_ONCE(flow->word);
	if (LB_FLOW_STATE(word) == LB_FLOW_FREE) {
		if (vacancy->record == RECORD_NONE) {
			vacancy->record = record;
			vacancy->word = word;
		}
		return false;
	}
	return LB_FLOW_STATE(word) != LB_FLOW_RESTING && flow_is_forward(flow, key);
}

/* 0 with a free record for <key>, -EEXIST (a flow has the key, or gets it now), -ENOSPC. */
VERIFIED_ALONE int record_look(const struct lb_flow_key *key, __u64 hash,
			       struct vacancy *ret_vacancy)
{
	__u32 set = set_home(hash);

	if (!key || !ret_vacancy)
		return -ENOSPC;
	ret_vacancy->record = RECORD_NONE;
	ret_vacancy->home = set;
	for (__u32 turn = 0; turn < LB_SET_TURNS; turn++) {
		for (__u32 i = 0; i < LB_SET_RECORDS; i++)
			if (record_holds(key, set * LB_SET_RECORDS + i, ret_vacancy))
				return -EEXIST;
		if (ret_vacancy->record != RECORD_NONE && !crowd_of(ret_vacancy->home))
			return 0;
		set = set_next(&hash);
	}
	return ret_vacancy->record == RECORD_NONE ? -ENOSPC : 0;
}

/* False: another key's CPU was first. */
static __always_inline bool record_claim(const struct vacancy *vacancy)
{
	struct lb_flow *flow = flow_at(vacancy->record);
	__u64 word = ((vacancy->word >> 32) + 1) << 32 | LB_FLOW_CLAIMED;

	return flow &&
	       __sync_val_compare_and_swap(&flow->word, vacancy->word, word) == vacancy->word;
}

static __always_inline bool record_is_away(__u32 record, __u32 home)
{
	return record / LB_SET_RECORDS != home;
}

/* Counts one more flow. False: there are as many as there may be. */
static __always_inline bool record_reserve(struct lb_meta *meta)
{
	if (__sync_fetch_and_add(&meta->live_flows, 1) < max_flows)
		return true;
	__sync_fetch_and_add(&meta->live_flows, -1);
	return false;
}

/*
 * A record in state CLAIMED for <key>, whose lock the caller holds. 0, or -EEXIST, -ENOSPC, -EBUSY.
 */
VERIFIED_ALONE int record_take(const struct lb_flow_key *key, __u64 hash, __u32 *ret_record)
{
	struct lb_meta *meta = meta_get();
	struct vacancy vacancy = {};
	int error = -EBUSY;

	if (!key || !ret_record || !meta || !record_reserve(meta))
		return -ENOSPC;
	for (int i = 0; i < LB_CAS_TRIES; i++) {
		error = record_look(key, hash, &vacancy);
		if (!error && record_is_away(vacancy.record, vacancy.home) &&
		    crowd_of(vacancy.home) >= LB_CROWD_MOST)
			error = -ENOSPC;
		if (error || record_claim(&vacancy))
			break;
		error = -EBUSY;
	}
	if (!error && record_is_away(vacancy.record, vacancy.home))
		crowd_add(vacancy.home, 1);
	if (error)
		__sync_fetch_and_add(&meta->live_flows, -1);
	*ret_record = vacancy.record;
	return error;
}

/* The record is in state CLAIMED, and nothing but its set leads to it. <hash>: of its key. */
static __always_inline void record_put(struct lb_flow *flow, __u32 record, __u64 hash)
{
	struct lb_meta *meta = meta_get();
	__u32 home = set_home(hash);

	if (record_is_away(record, home))
		crowd_add(home, -1);
	flow->proto = 0; /* it fits no key while it is filled for another */
	__sync_lock_test_and_set(&flow->word, (flow->word >> 32) << 32 | LB_FLOW_FREE);
	if (meta)
		__sync_fetch_and_add(&meta->live_flows, -1);
}

#endif
