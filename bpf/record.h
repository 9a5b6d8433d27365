/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Flow records: who gets one, and where they go when they are free.
 *
 * Owns: lb_free, lb_meta.fresh, lb_meta.live_flows. A record is handed out from the ring of those
 * given back, oldest first, else from the never used end of lb_flows. Its generation grows each
 * time, so that a stale index entry can be told.
 * May know: index.h.
 */
#ifndef LB_RECORD_H
#define LB_RECORD_H

#include "index.h"

static __always_inline __u32 record_pop(struct lb_meta *meta)
{
	for (int i = 0; i < LB_CAS_TRIES; i++) {
		__u64 ticket = READ_ONCE(meta->free_head);
		__u32 at = max_flows ? ticket % max_flows : 0;
		__u64 *cell = bpf_map_lookup_elem(&lb_free, &at);
		__u64 full;

		if (!cell)
			return RECORD_NONE;
		full = READ_ONCE(*cell);
		if (full >> 32 != (__u32)(ticket + 1))
			return RECORD_NONE; /* empty, or being filled at this moment */
		/* Nobody refills the cell before the head has left it: this record is not free. */
		if (__sync_val_compare_and_swap(&meta->free_head, ticket, ticket + 1) == ticket)
			return full;
	}
	return RECORD_NONE;
}

/* The ring has a cell for every record there is: it cannot be full. */
static __always_inline void record_push(struct lb_meta *meta, __u32 record)
{
	__u64 ticket = __sync_fetch_and_add(&meta->free_tail, 1);
	__u32 at = max_flows ? ticket % max_flows : 0;
	__u64 *cell = bpf_map_lookup_elem(&lb_free, &at);

	if (cell)
		WRITE_ONCE(*cell, LB_FREE_CELL(ticket, record));
}

static __always_inline __u32 record_fresh(struct lb_meta *meta)
{
	for (int i = 0; i < LB_CAS_TRIES; i++) {
		__u32 fresh = READ_ONCE(meta->fresh);

		if (fresh >= max_flows)
			return RECORD_NONE;
		if (__sync_val_compare_and_swap(&meta->fresh, fresh, fresh + 1) == fresh)
			return fresh;
	}
	return RECORD_NONE;
}

/* A record in state CLAIMED, or RECORD_NONE. */
static __always_inline __u32 record_take(void)
{
	struct lb_meta *meta = meta_get();
	struct lb_flow *flow;
	__u32 record;

	if (!meta)
		return RECORD_NONE;
	record = record_pop(meta);
	if (record == RECORD_NONE)
		record = record_fresh(meta);
	flow = flow_at(record);
	if (!flow)
		return RECORD_NONE;
	WRITE_ONCE(flow->word, ((flow->word >> 32) + 1) << 32 | LB_FLOW_CLAIMED);
	__sync_fetch_and_add(&meta->live_flows, 1);
	return record;
}

/* The record is in state FREE and no index entry names it. */
static __always_inline void record_put(__u32 record)
{
	struct lb_meta *meta = meta_get();

	if (!meta)
		return;
	__sync_fetch_and_add(&meta->live_flows, -1);
	record_push(meta, record);
}

#endif
