/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Tunnels to backends: an outer IP header (RFC 2003, 2473, 4213), with gue a UDP header between it
 * and the packet (draft-ietf-intarea-gue, variant 1: the packet's own version nibble tells).
 *
 * Owns: the outer headers. Their source is the balancer's own address towards the backend. The
 * outer UDP checksum is 0, over IPv6 too (RFC 6935), and lb_decap takes that.
 * May know: rewrite.h, the verbs of ctx_*.h.
 */
#ifndef LB_ENCAP_H
#define LB_ENCAP_H

#include <linux/udp.h>

#include "rewrite.h"

#define GUE_PORT     6080
#define OUTER_TTL    64
#define IP_DF	     0x4000
#define L2_MAX	     22	   /* Ethernet and two tags */
#define PORT_DYNAMIC 49152 /* RFC 6335 section 6 */
#define ETH_AT	     12	   /* of the protocol in an untagged header */

struct outer4 {
	struct iphdr ip;
	struct udphdr udp;
};

struct outer6 {
	struct ipv6hdr ip;
	struct udphdr udp;
};

static __always_inline __u32 encap_overhead(const struct lb_flow *flow,
					    const struct lb_backend *backend)
{
	__u32 len = ip_is_v4(&backend->addr) ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);

	if (flow->forward < LB_FORWARD_IPIP)
		return 0;
	return flow->forward == LB_FORWARD_GUE ? len + sizeof(struct udphdr) : len;
}

/* The inner packet's traffic class; congestion marks are copied too (RFC 6040 section 4.1). */
static __always_inline int inner_class(struct ctx_kind *ctx, const struct packet *pkt)
{
	const __u8 *ip = ctx_at(ctx, pkt->l3, sizeof(struct iphdr));

	if (!ip)
		return -1;
	return pkt->v6 ? (ip[0] << 4 | ip[1] >> 4) & 0xff : ip[1];
}

static __always_inline void encap_udp(struct udphdr *udp, const struct packet *pkt)
{
	udp->source = bpf_htons(PORT_DYNAMIC | (pkt->hash >> 32 & 0x3fff));
	udp->dest = bpf_htons(GUE_PORT);
	udp->len = bpf_htons(pkt->len + sizeof(*udp));
}

static __always_inline __u8 encap_proto(const struct lb_flow *flow, const struct packet *pkt)
{
	if (flow->forward == LB_FORWARD_GUE)
		return IPPROTO_UDP;
	return pkt->v6 ? IPPROTO_IPV6 : IPPROTO_IPIP;
}

static __always_inline void encap_v4(const struct lb_flow *flow, const struct packet *pkt,
				     const struct lb_backend *backend, __u8 class,
				     struct outer4 *outer)
{
	const __u16 *half = (const void *)&outer->ip;
	__u32 sum = 0;

	outer->ip.version = 4;
	outer->ip.ihl = 5;
	outer->ip.tos = class;
	outer->ip.tot_len = bpf_htons(pkt->len + encap_overhead(flow, backend));
	outer->ip.frag_off = bpf_htons(IP_DF);
	outer->ip.ttl = OUTER_TTL;
	outer->ip.protocol = encap_proto(flow, pkt);
	outer->ip.saddr = backend->source.w[3];
	outer->ip.daddr = backend->addr.w[3];
	for (unsigned int i = 0; i < sizeof(outer->ip) / sizeof(*half); i++)
		sum += half[i];
	outer->ip.check = ~checksum_fold(sum);
}

static __always_inline void encap_v6(const struct lb_flow *flow, const struct packet *pkt,
				     const struct lb_backend *backend, __u8 class,
				     struct outer6 *outer)
{
	/* Version, class, and a flow label of the flow's hash (RFC 6438). */
	__be32 first = bpf_htonl(6U << 28 | (__u32) class << 20 | (pkt->hash & 0xfffff));
	__u32 udp = flow->forward == LB_FORWARD_GUE ? sizeof(outer->udp) : 0;

	__builtin_memcpy(&outer->ip, &first, sizeof(first));
	outer->ip.payload_len = bpf_htons(pkt->len + udp);
	outer->ip.nexthdr = encap_proto(flow, pkt);
	outer->ip.hop_limit = OUTER_TTL;
	__builtin_memcpy(&outer->ip.saddr, &backend->source, sizeof(backend->source));
	__builtin_memcpy(&outer->ip.daddr, &backend->addr, sizeof(backend->addr));
}

/* The link header moves to the front of the room; tags stay, the protocol is the outer one's. */
static __always_inline int encap_write_l2(struct ctx_kind *ctx, __u32 l3, __be16 proto,
					  const __u8 l2[static L2_MAX])
{
	ctx_write_link(ctx, 0, l2, ETH_HLEN);
	if (l3 >= ETH_HLEN + VLAN_LEN)
		ctx_write_link(ctx, ETH_HLEN, l2 + ETH_HLEN, VLAN_LEN);
	if (l3 >= ETH_HLEN + 2 * VLAN_LEN)
		ctx_write_link(ctx, ETH_HLEN + VLAN_LEN, l2 + ETH_HLEN + VLAN_LEN, VLAN_LEN);
	ctx_write_link(ctx, l3 - sizeof(proto), &proto, sizeof(proto));
	return 0;
}

static __always_inline int encap_read_l2(struct ctx_kind *ctx, __u8 l2[static L2_MAX])
{
	const __u8 *at = ctx_at(ctx, 0, L2_MAX); /* an IP header follows: there are so many */

	if (!at)
		return -1;
	__builtin_memcpy(l2, at, L2_MAX);
	return 0;
}

VERIFIED_ALONE int encap_outer4(struct ctx_kind *ctx, const struct packet *pkt,
				const struct lb_flow *flow, const struct lb_backend *backend,
				__u8 class)
{
	struct outer4 outer = {};
	bool gue;

	if (!pkt || !flow || !backend)
		return -1;
	gue = flow->forward == LB_FORWARD_GUE;
	encap_v4(flow, pkt, backend, class, &outer);
	encap_udp(&outer.udp, pkt);
	if (gue)
		ctx_write(ctx, pkt->l3, &outer, sizeof(outer));
	else
		ctx_write(ctx, pkt->l3, &outer.ip, sizeof(outer.ip));
	return 0;
}

VERIFIED_ALONE int encap_outer6(struct ctx_kind *ctx, const struct packet *pkt,
				const struct lb_flow *flow, const struct lb_backend *backend,
				__u8 class)
{
	struct outer6 outer = {};
	bool gue;

	if (!pkt || !flow || !backend)
		return -1;
	gue = flow->forward == LB_FORWARD_GUE;
	encap_v6(flow, pkt, backend, class, &outer);
	encap_udp(&outer.udp, pkt);
	if (gue)
		ctx_write(ctx, pkt->l3, &outer, sizeof(outer));
	else
		ctx_write(ctx, pkt->l3, &outer.ip, sizeof(outer.ip));
	return 0;
}

/* Wraps the packet for its backend. Nonzero: there was no room, or no source is known. */
VERIFIED_ALONE int encap_apply(struct ctx_kind *ctx, const struct packet *pkt,
			       const struct lb_flow *flow, const struct lb_backend *backend)
{
	__u8 l2[L2_MAX + 2] = {};
	bool outer_v4;
	int class;

	if (!pkt || !flow || !backend)
		return -1;
	outer_v4 = ip_is_v4(&backend->addr);
	class = inner_class(ctx, pkt);
	if (!backend->source.q[1]) /* none is known; nobody could answer an error */
		return -1;
	if (class < 0 || encap_read_l2(ctx, l2))
		return -1;
	if (ctx_push(ctx, encap_overhead(flow, backend), outer_v4, flow->forward == LB_FORWARD_GUE))
		return -1;
	encap_write_l2(ctx, pkt->l3, outer_v4 ? bpf_htons(ETH_P_IP) : bpf_htons(ETH_P_IPV6), l2);
	if (outer_v4)
		return encap_outer4(ctx, pkt, flow, backend, class);
	return encap_outer6(ctx, pkt, flow, backend, class);
}

#endif
