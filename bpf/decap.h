/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Taking the outer header off what ipip and gue services send: on a backend, so that it needs no
 * tunnel device. What was not wrapped, or cannot be read, is the stack's as it came.
 *
 * Owns: nothing; keeps no state. Congestion marks of the outer header go into the inner one (RFC
 * 6040 section 4.2).
 * May know: ctx_xdp.h, parse.h.
 */
#ifndef LB_DECAP_H
#define LB_DECAP_H

#include "encap.h"

#define ECN_MASK 3
#define ECN_CE	 3

/* What stands around the inner packet. */
struct wrap {
	__u32 len; /* of the outer headers */
	__u8 ecn;
	bool inner6;
};

/* <at>: behind the outer IP header. False: it is no tunnel of ours. */
static __always_inline bool wrap_enter(struct xdp_md *xdp, __u8 proto, __u32 at, struct wrap *wrap)
{
	const struct udphdr *udp;
	const __u8 *inner;

	if (proto == IPPROTO_UDP) {
		udp = ctx_at(xdp, at, sizeof(*udp));
		if (!udp || udp->dest != bpf_htons(GUE_PORT))
			return false;
		at += sizeof(*udp);
	} else if (proto != IPPROTO_IPIP && proto != IPPROTO_IPV6) {
		return false;
	}
	inner = ctx_at(xdp, at, sizeof(struct iphdr));
	if (!inner || (*inner >> 4 != 4 && *inner >> 4 != 6))
		return false;
	wrap->inner6 = *inner >> 4 == 6;
	wrap->len = at - ETH_HLEN;
	return true;
}

static __always_inline bool wrap_read(struct xdp_md *xdp, __be16 proto, struct wrap *wrap)
{
	const struct ipv6hdr *ip6;
	const struct iphdr *ip;

	if (proto == bpf_htons(ETH_P_IP)) {
		ip = ctx_at(xdp, ETH_HLEN, sizeof(*ip));
		if (!ip || ip->ihl != 5 || ip->frag_off & bpf_htons(IP_MORE | IP_OFFSET))
			return false;
		wrap->ecn = ip->tos & ECN_MASK;
		return wrap_enter(xdp, ip->protocol, ETH_HLEN + sizeof(*ip), wrap);
	}
	if (proto != bpf_htons(ETH_P_IPV6))
		return false;
	ip6 = ctx_at(xdp, ETH_HLEN, sizeof(*ip6));
	if (!ip6)
		return false;
	wrap->ecn = ((const __u8 *)ip6)[1] >> 4 & ECN_MASK;
	return wrap_enter(xdp, ip6->nexthdr, ETH_HLEN + sizeof(*ip6), wrap);
}

/* Marks the packet that is bare by now. False: its sender cannot know marks, so it is to be lost.
 */
static __always_inline bool mark_congested(struct xdp_md *xdp, bool inner6)
{
	__u8 *ip = ctx_at(xdp, ETH_HLEN, sizeof(struct iphdr));
	struct iphdr *ip4 = (void *)ip;
	__u16 *head = (void *)ip;
	__u16 old;

	if (!ip)
		return true;
	old = *head;
	if (inner6) {
		if (!(ip[1] >> 4 & ECN_MASK))
			return false;
		ip[1] |= ECN_CE << 4;
		return true;
	}
	if (!(ip[1] & ECN_MASK))
		return false;
	ip[1] |= ECN_CE;
	ip4->check = checksum_update(ip4->check, (__u16)~old + (__u32)*head);
	return true;
}

static __always_inline int decap(struct xdp_md *xdp)
{
	struct ethhdr *eth = ctx_at(xdp, 0, sizeof(*eth));
	struct ethhdr link;
	struct wrap wrap = {};

	if (!eth)
		return XDP_PASS;
	link = *eth;
	if (!wrap_read(xdp, link.h_proto, &wrap))
		return XDP_PASS;
	link.h_proto = wrap.inner6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP);
	if (bpf_xdp_adjust_head(xdp, (int)wrap.len))
		return XDP_PASS;
	ctx_write(xdp, 0, &link, sizeof(link));
	if (wrap.ecn == ECN_CE && !mark_congested(xdp, wrap.inner6))
		return XDP_DROP;
	return XDP_PASS;
}

#endif
