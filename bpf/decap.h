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
#define ECN_ECT1 1
#define ECN_ECT0 2
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
		if (!ip || ip->version != 4 || ip->ihl != 5 ||
		    ip->frag_off & bpf_htons(IP_MORE | IP_OFFSET))
			return false;
		wrap->ecn = ip->tos & ECN_MASK;
		return wrap_enter(xdp, ip->protocol, ETH_HLEN + sizeof(*ip), wrap);
	}
	if (proto != bpf_htons(ETH_P_IPV6))
		return false;
	ip6 = ctx_at(xdp, ETH_HLEN, sizeof(*ip6));
	if (!ip6 || ip6->version != 6)
		return false;
	wrap->ecn = ((const __u8 *)ip6)[1] >> 4 & ECN_MASK;
	return wrap_enter(xdp, ip6->nexthdr, ETH_HLEN + sizeof(*ip6), wrap);
}

/* RFC 6040 figure 4; negative: the sender cannot know marks, so the packet is to be lost. */
static __always_inline int ecn_out(__u8 inner, __u8 outer)
{
	if (outer == ECN_CE)
		return inner ? ECN_CE : -1;
	return outer == ECN_ECT1 && inner == ECN_ECT0 ? ECN_ECT1 : inner;
}

/* Gives the packet, which is bare by now, the mark of its tunnel. False: it is to be lost. */
static __always_inline bool mark_copy(struct xdp_md *xdp, const struct wrap *wrap)
{
	__u8 *ip = ctx_at(xdp, ETH_HLEN, sizeof(struct iphdr));
	__u32 shift = wrap->inner6 ? 4 : 0;
	struct iphdr *ip4 = (void *)ip;
	__u16 *head = (void *)ip;
	__u16 old;
	int out;

	if (!ip)
		return true;
	old = *head;
	out = ecn_out(ip[1] >> shift & ECN_MASK, wrap->ecn);
	if (out < 0)
		return false;
	ip[1] = (ip[1] & ~(ECN_MASK << shift)) | out << shift;
	if (!wrap->inner6)
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
	if (wrap.ecn && !mark_copy(xdp, &wrap))
		return XDP_DROP;
	return XDP_PASS;
}

#endif
