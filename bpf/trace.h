/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a dry run found out, for whoever made it run.
 *
 * Owns: lb_trace, which nothing but a dry load writes, and which each dry load has for itself.
 * May know: packet.h.
 */
#ifndef LB_TRACE_H
#define LB_TRACE_H

#include "packet.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct lb_trace);
} lb_trace SEC(".maps");

static __always_inline struct lb_trace *trace_get(void)
{
	__u32 zero = 0;

	return dry ? bpf_map_lookup_elem(&lb_trace, &zero) : NULL;
}

/* The record, real or rehearsed, by which the packet goes on. */
VERIFIED_ALONE int trace_flow(const struct lb_flow *flow, const struct packet *pkt)
{
	struct lb_trace *trace = trace_get();

	if (!trace || !flow || !pkt)
		return 0;
	trace->flow = *flow;
	trace->from_client = pkt->from_client;
	return 0;
}

/* The next hop that was asked for; <error>: BPF_FIB_LKUP_RET_*, or negative. */
VERIFIED_ALONE int trace_hop(const struct lb_hop *hop, int error)
{
	struct lb_trace *trace = trace_get();

	if (!trace || !hop)
		return 0;
	trace->hop = *hop;
	trace->hop_error = error;
	return 0;
}

VERIFIED_ALONE int trace_verdict(const struct packet *pkt, __u32 verdict)
{
	struct lb_trace *trace = trace_get();

	if (!trace || !pkt)
		return 0;
	/* A rehearsed record is borrowed, but what it stands for is a new flow. */
	if (verdict == LB_V_UNTRACKED && LB_FLOW_STATE(pkt->word) != LB_FLOW_OPEN)
		verdict = LB_V_FORWARDED_NEW;
	trace->verdict = verdict;
	trace->done = 1;
	return 0;
}

#endif
