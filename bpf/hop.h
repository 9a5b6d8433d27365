/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Next hops: where a packet goes after it was rewritten, asked from the kernel's routes and
 * neighbours once a second and kept: towards a backend by its id, towards clients by gateway.
 *
 * Owns: lb_ways, and the hops of backends and ways of records. A row is written between an odd and
 * an even sequence number. One of lb_ways is given to another gateway two seconds after it was last
 * asked for: no record believes it by then. May know: flow.h.
 */
#ifndef LB_HOP_H
#define LB_HOP_H

#include "flow.h"
#include "parse.h"

#define FAMILY_V4 2  /* AF_INET; <sys/socket.h> is not for BPF */
#define FAMILY_V6 10 /* AF_INET6 */
#define WAY_TRIES 4  /* rows that a gateway may have */

static __always_inline bool hop_fresh(__u32 asked_at, __u32 now)
{
	struct lb_meta *meta = meta_get();

	return meta && now - asked_at < meta->second &&
	       now - asked_at < now - READ_ONCE(meta->hops_changed);
}

/* Copies a row, unless it is being written or never was. */
static __always_inline bool hop_read(const struct lb_hop *row, struct lb_hop *ret_hop)
{
	__u32 sequence = READ_ONCE(row->sequence);

	barrier();
	*ret_hop = *row;
	barrier();
	return !(sequence & 1) && READ_ONCE(row->sequence) == sequence && ret_hop->ifindex;
}

static __always_inline bool hop_lock(struct lb_hop *row)
{
	__u32 sequence = READ_ONCE(row->sequence);

	return !(sequence & 1) &&
	       __sync_val_compare_and_swap(&row->sequence, sequence, sequence + 1) == sequence;
}

/* An exchange, not an addition: it orders what was written before it. */
static __always_inline void hop_unlock(struct lb_hop *row)
{
	__sync_lock_test_and_set(&row->sequence, row->sequence + 1);
}

/* What another CPU writes at this moment is as good. */
static __always_inline void hop_write(struct lb_hop *row, const struct lb_hop *answer)
{
	if (!hop_lock(row))
		return;
	__builtin_memcpy(row, answer, offsetof(struct lb_hop, sequence));
	hop_unlock(row);
}

static __always_inline void hop_question(struct bpf_fib_lookup *fib, const struct lb_ip *src,
					 const struct lb_ip *dst)
{
	fib->tot_len = 1; /* asks for the route's MTU: the kernel answers in mtu_result */
	if (ip_is_v4(dst)) {
		fib->family = FAMILY_V4;
		fib->ipv4_src = src->w[3];
		fib->ipv4_dst = dst->w[3];
		return;
	}
	fib->family = FAMILY_V6;
	__builtin_memcpy(fib->ipv6_src, src, sizeof(*src));
	__builtin_memcpy(fib->ipv6_dst, dst, sizeof(*dst));
}

/*
 * 0, or what BPF_FIB_LKUP_RET_ says. Out of line: it is asked once a second, and its 64 bytes of
 * stack would count against every path.
 */
VERIFIED_ALONE int hop_ask(struct ctx_kind *ctx, const struct lb_ip *src, const struct lb_ip *dst,
			   __u32 now, struct lb_hop *ret_hop)
{
	struct bpf_fib_lookup fib = {.l4_protocol = IPPROTO_TCP, .ifindex = ctx_ifindex(ctx)};
	int error;

	if (!src || !dst || !ret_hop)
		return -1;
	hop_question(&fib, src, dst);
	error = bpf_fib_lookup(ctx, &fib, sizeof(fib), 0);
	if (error)
		return error;
	__builtin_memcpy(ret_hop->dmac, fib.dmac, ETH_ALEN);
	__builtin_memcpy(ret_hop->smac, fib.smac, ETH_ALEN);
	ret_hop->ifindex = fib.ifindex;
	ret_hop->asked_at = now;
	ret_hop->mtu = fib.mtu_result;
	return 0;
}

static __always_inline bool way_is(const struct lb_hop *row, const struct lb_hop *answer)
{
	const __u32 *macs = (const void *)row;
	const __u32 *others = (const void *)answer;

	return row->ifindex == answer->ifindex && row->mtu == answer->mtu && macs[0] == others[0] &&
	       macs[1] == others[1] && macs[2] == others[2];
}

static __always_inline __u32 way_hash(const struct lb_hop *answer)
{
	const __u32 *macs = (const void *)answer;
	__u64 hash = hash_mix((__u64)macs[0] << 32 | macs[1]);

	return hash_mix(hash ^ macs[2] ^ (__u64)answer->ifindex << 32) >> 40;
}

/* Whether the row says <answer> from now on; only one that no record believes is given away. */
static __always_inline bool way_take(struct lb_hop *row, const struct lb_hop *answer)
{
	struct lb_meta *meta = meta_get();
	__s32 age = answer->asked_at - row->asked_at; /* below 0: another CPU's clock is ahead */
	bool ours;

	if (!meta || !hop_lock(row))
		return false;
	ours = way_is(row, answer);
	if (!ours && (!row->ifindex || age > (__s32)(2 * meta->second))) {
		__builtin_memcpy(row, answer, 2 * ETH_ALEN);
		row->ifindex = answer->ifindex;
		row->mtu = answer->mtu;
		ours = true;
	}
	if (ours && (age > 0 || !row->asked_at))
		row->asked_at = answer->asked_at;
	hop_unlock(row);
	return ours;
}

/*
 * The flow's way to its client is pkt->hop. With all rows taken it is asked for each packet. Should
 * the record have become another flow's meanwhile, it has no way.
 */
static __always_inline void way_keep(struct lb_flow *flow, const struct packet *pkt)
{
	const struct lb_hop *answer = &pkt->hop;
	__u32 hash = way_hash(answer);

	for (__u32 i = 0; i < WAY_TRIES; i++) {
		__u32 at = 1 + (hash + i) % (LB_WAYS - 1);
		struct lb_hop *row = way_at(at);

		if (!row || !way_take(row, answer))
			continue;
		WRITE_ONCE(flow->way, 0);
		barrier();
		WRITE_ONCE(flow->way_asked, answer->asked_at);
		barrier();
		WRITE_ONCE(flow->way, flow_same(flow, pkt) ? at : 0);
		if (!flow_same(flow, pkt))
			WRITE_ONCE(flow->way, 0);
		return;
	}
}

/* What the flow's row says, if it still may be believed. */
static __always_inline bool way_read(const struct lb_flow *flow, struct packet *pkt)
{
	__u16 way = READ_ONCE(flow->way);
	struct lb_hop *row;
	__u32 asked_at;

	barrier();
	asked_at = READ_ONCE(flow->way_asked);
	barrier();
	if (!way || READ_ONCE(flow->way) != way || !hop_fresh(asked_at, pkt->now))
		return false;
	row = way_at(way);
	return row && hop_read(row, &pkt->hop);
}

/* Asks the kernel for the way to the flow's client, and keeps it. */
VERIFIED_ALONE int way_renew(struct ctx_kind *ctx, struct packet *pkt, struct lb_flow *flow)
{
	int error;

	if (!pkt || !flow)
		return -1;
	error = hop_ask(ctx, flow_vip(flow), &flow->client, pkt->now, &pkt->hop);
	if (!error && !dry)
		way_keep(flow, pkt);
	return error;
}

/*
 * Asks the kernel for the next hop to a backend, and keeps it. It is the same for all its flows, so
 * that none of them is asked for: the source is ours on the way to it, or none.
 */
VERIFIED_ALONE int hop_renew(struct ctx_kind *ctx, struct packet *pkt, struct lb_backend *backend)
{
	int error;

	if (!pkt || !backend)
		return -1;
	error = hop_ask(ctx, &backend->source, &backend->addr, pkt->now, &pkt->hop);
	if (!error && !dry)
		hop_write(&backend->hop, &pkt->hop);
	return error;
}

/* 0 with the next hop of <pkt> in pkt->hop, or that it is not known. */
static __always_inline int hop_get(struct ctx_kind *ctx, struct packet *pkt, struct lb_flow *flow,
				   struct lb_backend *backend)
{
	if (!pkt->from_client)
		return way_read(flow, pkt) ? 0 : way_renew(ctx, pkt, flow);
	if (hop_fresh(READ_ONCE(backend->hop.asked_at), pkt->now) &&
	    hop_read(&backend->hop, &pkt->hop))
		return 0;
	return hop_renew(ctx, pkt, backend);
}

#endif
