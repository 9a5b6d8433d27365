/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Upkeep of the flow table: a timer of its own that outlives the daemon, and programs that the
 * daemon runs. Under the timer no packet waits for it.
 */
#include "sweep.h"

/*
 * Gives the timer this program's callback and starts it. An armed timer goes on with the code of
 * the program that armed it: to be run again after every load, before the old program goes.
 */
SEC("syscall")
int lb_sweep_arm(void *ctx)
{
	(void)ctx;
	return sweep_arm();
}

/* Looks at every record once. */
SEC("syscall")
int lb_sweep_now(void *ctx)
{
	__u32 left = LB_RECORDS(max_flows);

	(void)ctx;
	for (__u32 i = 0; i <= LB_RECORDS(LB_MAX_FLOWS) / SWEEP_MOST && left; i++) {
		__u32 some = left < SWEEP_MOST ? left : SWEEP_MOST;

		if (sweep_some(some))
			return -1;
		left -= some;
	}
	return 0;
}

/* When the next tick began: two of these tell how long one is. Waits at most for a tick. */
struct clock {
	__u64 ticks;
	__u64 ns; /* CLOCK_MONOTONIC */
};

#define CLOCK_TURNS (1U << 23)

static long clock_step(__u32 i, const __u64 *began)
{
	(void)i;
	return bpf_jiffies64() != *began;
}

SEC("syscall")
int lb_clock(struct clock *clock)
{
	__u64 began = bpf_jiffies64();

	bpf_loop(CLOCK_TURNS, clock_step, &began, 0);
	clock->ns = bpf_ktime_get_ns();
	clock->ticks = bpf_jiffies64();
	return 0;
}

/* Ends the flow of a record if it still is of the generation: both sides will be told by RST. */
static __always_inline void kill_one(__u32 record, __u32 generation)
{
	struct lb_flow *flow = flow_at(record);
	__u64 word;

	if (!flow)
		return;
	word = READ_ONCE(flow->word);
	if (LB_FLOW_GENERATION(word) == generation && LB_FLOW_STATE(word) > LB_FLOW_CLAIMED) {
		WRITE_ONCE(flow->seen, ticks_now()); /* from here on it waits to tell both sides */
		flow_kill(flow, word);
	}
}

struct kill {
	__u32 record;
	__u32 generation;
};

SEC("syscall")
int lb_flow_kill(struct kill *kill)
{
	kill_one(kill->record, kill->generation);
	return 0;
}

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, LB_KILLS);
	__type(key, __u32);
	__type(value, __u64);
} lb_kills SEC(".maps");

struct kills {
	__u32 count; /* the first of lb_kills */
};

/* bpf_loop */
static long kill_step(__u32 i, void *ctx)
{
	__u64 *kill = bpf_map_lookup_elem(&lb_kills, &i);

	(void)ctx;
	if (kill)
		kill_one((__u32)*kill, *kill >> 32);
	return 0;
}

SEC("syscall")
int lb_flows_kill(struct kills *kills)
{
	bpf_loop(kills->count, kill_step, NULL, 0);
	return 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
