/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Opening a flow: a record, a backend, and the two index entries.
 *
 * Owns: nothing of its own. The reverse entry is published before the forward one; both are
 * inserted only where none is, so that of two CPUs with the same SYN one wins.
 * May know: flow.h, choose.h.
 */
#ifndef LB_OPEN_H
#define LB_OPEN_H

#include "choose.h"
#include "flow.h"

#define EEXIST 17

static __always_inline void flow_fill_client(struct lb_flow *flow, const struct packet *pkt,
					     const struct lb_service *service)
{
	flow->seen_at = bpf_ktime_get_coarse_ns();
	flow->client = pkt->key.saddr;
	flow->vip = pkt->key.daddr;
	flow->client_port = pkt->key.sport;
	flow->vip_port = pkt->key.dport;
	flow->zone = pkt->key.zone;
	flow->proto = pkt->key.proto;
	flow->forward = service->forward;
	flow->service = service->id;
	flow->to_backend.ifindex = 0;
	flow->to_client.ifindex = 0;
	flow->seq_client = pkt->seq + 1;
	flow->seq_backend = 0;
}

static __always_inline void flow_fill_backend(struct lb_flow *flow, __u32 id)
{
	struct lb_backend *backend = bpf_map_lookup_elem(&lb_backends, &id);

	if (!backend)
		return;
	flow->backend = id;
	flow->backend_addr = backend->addr;
	flow->backend_port = backend->port ? backend->port : flow->vip_port;
}

/* Tries backends until one's reverse key is free. 0, or the verdict that refuses the flow. */
static __always_inline __u32 open_reverse(struct lb_flow *flow, struct choice *choice, __u64 ref)
{
	struct lb_flow_key key;
	int error;

	if (!choice->backend)
		return LB_V_NO_BACKEND;
	for (__u32 tried = 0; tried < CHOOSE_TRIES && choice->backend; tried++) {
		flow_fill_backend(flow, choice->backend);
		flow_key_reverse(flow, &key);
		error = bpf_map_update_elem(&lb_index, &key, &ref, BPF_NOEXIST);
		if (!error)
			return 0;
		if (error != -EEXIST) {
			choice_refund(choice);
			return LB_V_TABLE_FULL;
		}
		choose_again(choice, tried);
	}
	if (choice->backend)
		choice_refund(choice);
	return LB_V_NAT_COLLISION;
}

/* Makes the flow findable: from here on other CPUs may move it. */
static __always_inline int open_forward(struct lb_flow *flow, const struct packet *pkt, __u64 ref)
{
	WRITE_ONCE(flow->word, (__u64)LB_REF_GENERATION(ref) << 32 | LB_FLOW_SYN | LB_FLOW_PENDING);
	return bpf_map_update_elem(&lb_index, &pkt->key, &ref, BPF_NOEXIST);
}

static __always_inline void open_undo(struct lb_flow *flow, __u64 ref)
{
	WRITE_ONCE(flow->word, (__u64)LB_REF_GENERATION(ref) << 32 | LB_FLOW_FREE);
	record_put(LB_REF_RECORD(ref));
}

/* Scratch of open_record(): its callers' stacks and its own together have 512 bytes. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct choice);
} lb_choice SEC(".maps");

/* Gives <flow> what it needs or leaves nothing behind. LB_V_BAD_STATE: another CPU was first. */
VERIFIED_ALONE __u32 open_record(struct lb_flow *flow, const struct packet *pkt,
				 const struct lb_service *service)
{
	struct choice *choice;
	struct lb_pool *pool;
	struct lb_flow_key key;
	__u32 pool_id;
	__u32 verdict;
	__u64 ref;
	int error;
	__u32 zero = 0;

	choice = bpf_map_lookup_elem(&lb_choice, &zero);
	if (!flow || !pkt || !service || !choice)
		return LB_V_INTERNAL;
	__builtin_memset(choice, 0, sizeof(*choice));
	ref = LB_REF(pkt->record, LB_FLOW_GENERATION(flow->word));
	flow_fill_client(flow, pkt, service);
	pool_id = service->pool;
	pool = bpf_map_lookup_elem(&lb_pools, &pool_id);
	choose(choice, pool, &pkt->key);
	verdict = open_reverse(flow, choice, ref);
	if (!verdict) {
		error = open_forward(flow, pkt, ref);
		if (!error)
			return LB_V_FORWARDED_NEW;
		flow_key_reverse(flow, &key);
		index_remove(&key, ref);
		choice_refund(choice);
		verdict = error == -EEXIST ? LB_V_BAD_STATE : LB_V_TABLE_FULL;
	}
	open_undo(flow, ref);
	return verdict;
}

/* A flow for the SYN <pkt>: LB_V_FORWARDED_NEW and pkt->record, or why there is none. */
static __always_inline __u32 flow_open(struct packet *pkt, const struct lb_service *service)
{
	pkt->record = record_take();
	if (pkt->record == RECORD_NONE)
		return LB_V_TABLE_FULL;
	return open_record(bpf_map_lookup_elem(&lb_flows, &pkt->record), pkt, service);
}

#endif
