/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Next hops: where a packet goes after it was rewritten, asked from the kernel's routes and
 * neighbours and kept in the flow.
 *
 * Owns: the lb_hop fields of records. Two CPUs may write one at once: each writes ifindex 0 first
 * and the number last, and a reader takes only what had the same number before and after. What
 * could still be mixed are two answers of the same moment; one second later it is asked again.
 * May know: flow.h.
 */
#ifndef LB_HOP_H
#define LB_HOP_H

#include "flow.h"
#include "parse.h"

#define NS_PER_MS 1000000
#define HOP_TTL	  (1000 >> LB_HOP_SHIFT)
#define FAMILY_V4 2 /* AF_INET; <sys/socket.h> is not for BPF */

#define barrier() asm volatile("" ::: "memory")

static __always_inline bool hop_fresh(const struct lb_hop *hop, __u32 now_ms)
{
	__u16 age = (__u16)(now_ms >> LB_HOP_SHIFT) - hop->asked_at;
	struct lb_meta *meta = meta_get();

	if (!meta || age >= HOP_TTL)
		return false;
	return now_ms - READ_ONCE(meta->hops_changed_ms) > (__u32)(age + 1) << LB_HOP_SHIFT;
}

static __always_inline bool hop_cached(struct lb_hop *hop, __u32 now_ms, struct lb_hop *ret_hop)
{
	__u32 ifindex = READ_ONCE(hop->ifindex);

	if (!ifindex)
		return false;
	barrier();
	*ret_hop = *hop;
	barrier();
	return READ_ONCE(hop->ifindex) == ifindex && ret_hop->ifindex == ifindex &&
	       hop_fresh(ret_hop, now_ms);
}

static __always_inline void hop_keep(struct lb_hop *hop, const struct lb_hop *answer)
{
	WRITE_ONCE(hop->ifindex, 0);
	barrier();
	__builtin_memcpy(hop, answer, 2 * ETH_ALEN);
	hop->asked_at = answer->asked_at;
	hop->mtu = answer->mtu;
	barrier();
	WRITE_ONCE(hop->ifindex, answer->ifindex);
}

/*
 * 0, or what BPF_FIB_LKUP_RET_ says. Out of line: it is asked once a second, and its 64 bytes of
 * stack would count against every path.
 */
VERIFIED_ALONE int hop_ask(struct ctx_kind *ctx, __be32 src, __be32 dst, __u32 now_ms,
			   struct lb_hop *ret_hop)
{
	struct bpf_fib_lookup fib = {
		.family = FAMILY_V4,
		.l4_protocol = IPPROTO_TCP,
		.tot_len = 1, /* asks for the route's MTU: the kernel answers in mtu_result */
		.ifindex = ctx_ifindex(ctx),
		.ipv4_src = src,
		.ipv4_dst = dst,
	};
	int error;

	if (!ret_hop)
		return -1;
	error = bpf_fib_lookup(ctx, &fib, sizeof(fib), 0);
	if (error)
		return error;
	__builtin_memcpy(ret_hop->dmac, fib.dmac, ETH_ALEN);
	__builtin_memcpy(ret_hop->smac, fib.smac, ETH_ALEN);
	ret_hop->ifindex = fib.ifindex;
	ret_hop->asked_at = now_ms >> LB_HOP_SHIFT;
	ret_hop->mtu = fib.mtu_result;
	return 0;
}

/* 0 with the next hop from <src> to <dst>, or that it is not known. */
static __always_inline int hop_get(struct ctx_kind *ctx, const struct packet *pkt,
				   struct lb_flow *flow, struct lb_hop *ret_hop)
{
	struct lb_hop *hop = pkt->from_client ? &flow->to_backend : &flow->to_client;
	__be32 src = pkt->from_client ? flow->client.w[3] : flow->vip.w[3];
	__be32 dst = pkt->from_client ? flow->backend_addr.w[3] : flow->client.w[3];
	__u32 now_ms = pkt->now / NS_PER_MS;
	int error;

	if (pkt->stale) {
		/* The 16 bits of asked_at may have come round. */
		WRITE_ONCE(flow->to_backend.ifindex, 0);
		WRITE_ONCE(flow->to_client.ifindex, 0);
	}
	if (hop_cached(hop, now_ms, ret_hop))
		return 0;
	error = hop_ask(ctx, src, dst, now_ms, ret_hop);
	if (!error)
		hop_keep(hop, ret_hop);
	return error;
}

#endif
