/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The sweep: ends flows that were silent for their state's timeout, and uncounts those of killed
 * backends.
 *
 * Owns: lb_timer, lb_meta.sweep_next and swept_at. At most SWEEP_RECORDS a tick: the records of a
 * million flows take seven seconds.
 * May know: flow.h.
 */
#ifndef LB_SWEEP_H
#define LB_SWEEP_H

#include "flow.h"

#define SWEEP_RECORDS  2048
#define SWEEP_MOST     (1U << 22) /* of one loop; the kernel allows twice that (BPF_MAX_LOOPS) */
#define SWEEP_EVERY_NS 10000000ULL
#define CLOCK_MONO     1 /* CLOCK_MONOTONIC; <time.h> is not for BPF */

struct timer_cell {
	struct bpf_timer timer;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct timer_cell);
} lb_timer SEC(".maps");

struct sweep {
	__u32 now;   /* ticks */
	__u32 start; /* record to look at first */
};

/*
 * A TCP flow that was ended stays for as long as one of which a side has closed, so that sides that
 * are silent are told too; of UDP nobody needs to be told, and the client may want another flow.
 */
static __always_inline __u32 killed_state(const struct lb_flow *flow)
{
	return flow->proto == LB_PROTO_TCP ? LB_FLOW_FIN_CLIENT : LB_FLOW_RESET;
}

static __always_inline __u32 sweep_timeout(const struct lb_flow *flow, __u64 word)
{
	struct lb_meta *meta = meta_get();
	__u32 state = word & LB_FLOW_KILLED ? killed_state(flow) : LB_FLOW_STATE(word);

	if (!meta || state >= LB_FLOW_STATES)
		return 0;
	return READ_ONCE(meta->timeout[state]);
}

static __always_inline bool backend_killed(const struct lb_flow *flow)
{
	__u32 id = flow->backend;
	struct lb_backend *backend = backend_at(id);

	return backend && READ_ONCE(backend->flags) & LB_BACKEND_KILL;
}

/* A source port that may still have packets under way is kept from the next flow for a while. */
static __always_inline bool sweep_rest(struct lb_flow *flow, __u64 word, __u32 now)
{
	__u32 state = LB_FLOW_STATE(word);

	if (!flow->snat || state == LB_FLOW_CLOSING || state == LB_FLOW_RESTING)
		return false;
	if (flow_move(flow, word, LB_FLOW_RESTING, 0))
		WRITE_ONCE(flow->seen, now);
	return true;
}

static __always_inline void sweep_end(struct lb_flow *flow, __u32 record, __u64 word, __u32 now)
{
	__u32 state = LB_FLOW_STATE(word);
	__u32 backend = flow->backend;
	bool unanswered = state == LB_FLOW_SYN && flow_is_two_way(flow);

	if (!sweep_rest(flow, word, now) && !flow_release(record, flow, word))
		return;
	if (unanswered)
		live_failed(backend);
}

static __always_inline void sweep_record(__u32 record, struct lb_flow *flow, __u32 now)
{
	__u64 word = READ_ONCE(flow->word);
	__s32 idle = now - READ_ONCE(flow->seen);
	__u32 timeout = sweep_timeout(flow, word);

	if (LB_FLOW_STATE(word) <= LB_FLOW_CLAIMED)
		return;
	if (backend_killed(flow))
		flow_kill(flow, word);
	if (timeout && idle > (__s32)timeout)
		sweep_end(flow, record, word, now);
}

/* Round the records; <i> is at most their number. */
static __always_inline __u32 sweep_record_at(const struct sweep *sweep, __u32 i)
{
	__u32 record = sweep->start + i;

	return record < LB_RECORDS(max_flows) ? record : record - LB_RECORDS(max_flows);
}

/* bpf_loop */
static long sweep_step(__u32 i, struct sweep *sweep)
{
	__u32 record = sweep_record_at(sweep, i);
	struct lb_flow *flow = flow_at(record);

	if (flow)
		sweep_record(record, flow, sweep->now);
	return 0;
}

/* Looks at up to <most> records from lb_meta.sweep_next on, each at most once. */
static __always_inline int sweep_some(__u32 most)
{
	struct lb_meta *meta = meta_get();
	struct sweep sweep = {.now = ticks_now()};

	if (!meta)
		return -1;
	sweep.start = READ_ONCE(meta->sweep_next);
	if (sweep.start >= LB_RECORDS(max_flows))
		sweep.start = 0;
	if (most > LB_RECORDS(max_flows))
		most = LB_RECORDS(max_flows);
	bpf_loop(most, sweep_step, &sweep, 0);
	WRITE_ONCE(meta->sweep_next, sweep_record_at(&sweep, most));
	WRITE_ONCE(meta->swept_ticks, sweep.now);
	WRITE_ONCE(meta->swept_at, bpf_ktime_get_ns());
	return 0;
}

static int sweep_tick(void *map, int *key, struct timer_cell *cell)
{
	(void)map;
	(void)key;
	sweep_some(SWEEP_RECORDS);
	bpf_timer_start(&cell->timer, SWEEP_EVERY_NS, 0);
	return 0;
}

/* 0 or -errno. An initialised timer says -EBUSY: it is only given a new callback. */
static __always_inline int sweep_arm(void)
{
	__u32 zero = 0;
	struct timer_cell *cell = bpf_map_lookup_elem(&lb_timer, &zero);
	int error;

	if (!cell)
		return -1;
	bpf_timer_init(&cell->timer, &lb_timer, CLOCK_MONO);
	error = bpf_timer_set_callback(&cell->timer, sweep_tick);
	if (error)
		return error;
	return bpf_timer_start(&cell->timer, SWEEP_EVERY_NS, 0);
}

#endif
