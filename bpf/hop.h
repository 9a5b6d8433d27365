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

#define FAMILY_V4 2  /* AF_INET; <sys/socket.h> is not for BPF */
#define FAMILY_V6 10 /* AF_INET6 */

#define barrier() asm volatile("" ::: "memory")

static __always_inline bool hop_fresh(const struct lb_hop *hop, __u32 now)
{
	__u16 age = (__u16)(now >> LB_HOP_SHIFT) - hop->asked_at;
	struct lb_meta *meta = meta_get();

	if (!meta || age >= meta->hop_ttl)
		return false;
	return now - READ_ONCE(meta->hops_changed) > (__u32)(age + 1) << LB_HOP_SHIFT;
}

static __always_inline bool hop_cached(struct lb_hop *hop, __u32 now, struct lb_hop *ret_hop)
{
	__u32 ifindex = READ_ONCE(hop->ifindex);

	if (!ifindex)
		return false;
	barrier();
	*ret_hop = *hop;
	barrier();
	return READ_ONCE(hop->ifindex) == ifindex && ret_hop->ifindex == ifindex &&
	       hop_fresh(ret_hop, now);
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
	ret_hop->asked_at = now >> LB_HOP_SHIFT;
	ret_hop->mtu = fib.mtu_result;
	return 0;
}

static __always_inline const struct lb_ip *hop_source(const struct lb_flow *flow, bool from_client)
{
	const struct lb_backend *backend;

	if (!from_client)
		return &flow->vip;
	if (flow->forward < LB_FORWARD_DSR)
		return flow_source(flow);
	if (flow->forward == LB_FORWARD_DSR)
		return &flow->client;
	backend = backend_at(flow->backend);
	return backend ? &backend->source : &flow->client;
}

/* Asks the kernel, and keeps the answer in the flow. */
VERIFIED_ALONE int hop_renew(struct ctx_kind *ctx, const struct packet *pkt, struct lb_flow *flow,
			     struct lb_hop *ret_hop)
{
	struct lb_hop *hop;
	int error;

	if (!pkt || !flow || !ret_hop)
		return -1;
	error = hop_ask(ctx, hop_source(flow, pkt->from_client),
			pkt->from_client ? &flow->backend_addr : &flow->client, pkt->now, ret_hop);
	if (error || dry)
		return error;
	hop = pkt->from_client ? &flow->to_backend : &flow->to_client;
	hop_keep(hop, ret_hop);
	return 0;
}

/* 0 with the next hop of <pkt>, or that it is not known. */
static __always_inline int hop_get(struct ctx_kind *ctx, const struct packet *pkt,
				   struct lb_flow *flow, struct lb_hop *ret_hop)
{
	struct lb_hop *hop = pkt->from_client ? &flow->to_backend : &flow->to_client;

	if (pkt->stale && !dry) {
		/* The 16 bits of asked_at may have come round. */
		WRITE_ONCE(flow->to_backend.ifindex, 0);
		WRITE_ONCE(flow->to_client.ifindex, 0);
	}
	if (!(dry && pkt->stale) && hop_cached(hop, pkt->now, ret_hop))
		return 0;
	return hop_renew(ctx, pkt, flow, ret_hop);
}

#endif
