/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What is told of packets that were not simply forwarded: the head of the last one of each verdict,
 * and samples.
 *
 * Owns: lb_heads and lb_events. At most one head a verdict and one event a tick on each CPU, so
 * that a flood of refusals costs a comparison each. Never changes what happens to the packet. May
 * know: packet.h, the verbs of ctx_*.h.
 */
#ifndef LB_EVENT_H
#define LB_EVENT_H

#include "packet.h"

#define EVENTS_BYTES (256 * 1024)

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, LB_VERDICT_COUNT);
	__type(key, __u32);
	__type(value, struct lb_head);
} lb_heads SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, EVENTS_BYTES);
} lb_events SEC(".maps");

/* By verdict: the tick of its last head. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, LB_VERDICT_COUNT);
	__type(key, __u32);
	__type(value, __u32);
} lb_told SEC(".maps");

/* What goes on all the time is counted, not told. */
static __always_inline bool event_is_common(__u32 verdict)
{
	return verdict_in(verdict, VERDICT_BIT(NOT_IP) | VERDICT_BIT(NOT_OURS) |
					   VERDICT_BIT(NOT_HANDLED) | VERDICT_BIT(FORWARDED) |
					   VERDICT_BIT(FORWARDED_NEW) | VERDICT_BIT(REPLIED) |
					   VERDICT_BIT(UNTRACKED));
}

static __always_inline void head_keep(struct ctx_kind *ctx, __u32 verdict, const struct packet *pkt,
				      __u64 at)
{
	struct lb_head *head = bpf_map_lookup_elem(&lb_heads, &verdict);
	__u32 len = pkt->bytes < LB_HEAD_LEN ? pkt->bytes : LB_HEAD_LEN;

	if (!head || !len)
		return;
	/* Linux 6.1 loses a bound that it saw in a 32-bit copy: it gets one that is computed. */
	asm volatile("" : "+r"(len));
	len = ((len - 1) & (LB_HEAD_LEN - 1)) + 1;
	head->at = at;
	head->ifindex = ctx_ifindex(ctx);
	head->bytes = pkt->bytes;
	head->kept = ctx_load(ctx, 0, head->data, len) ? 0 : len;
}

static __always_inline void event_emit(struct ctx_kind *ctx, __u32 verdict,
				       const struct packet *pkt, __u64 at)
{
	struct lb_event *event = bpf_ringbuf_reserve(&lb_events, sizeof(*event), 0);

	if (!event)
		return;
	__builtin_memset(event, 0, sizeof(*event));
	event->at = at;
	event->key = pkt->key;
	event->verdict = verdict;
	event->ifindex = ctx_ifindex(ctx);
	event->bytes = pkt->bytes;
	bpf_ringbuf_submit(event, 0);
}

/* Before an answer is built in the packet's place. */
VERIFIED_ALONE int event_tell(struct ctx_kind *ctx, const struct packet *pkt, __u32 verdict)
{
	__u32 *told = bpf_map_lookup_elem(&lb_told, &verdict);
	__u64 at;

	if (!pkt || !told || dry || *told == pkt->now)
		return 0;
	*told = pkt->now;
	at = bpf_ktime_get_ns();
	head_keep(ctx, verdict, pkt, at);
	event_emit(ctx, verdict, pkt, at);
	return 0;
}

#endif
