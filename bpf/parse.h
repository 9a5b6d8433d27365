/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Reading a packet's headers, once, and checking that they agree with each other and the frame.
 *
 * Owns: nothing. Reads through the verbs of ctx_xdp.h or ctx_tc.h, which the entry point includes
 * first. Up to two VLAN tags, IPv4 with options, IPv6 with extension headers (RFC 8200 section 4),
 * fragments, TCP, UDP and ICMP; ports of what is truncated behind them are read all the same, so
 * that a service's broken packet is told from a stranger's.
 * May know: packet.h.
 */
#ifndef LB_PARSE_H
#define LB_PARSE_H

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#include "packet.h"

#define IP_MORE	     0x2000 /* RFC 791 section 3.1 */
#define IP_OFFSET    0x1fff
#define IP6_MORE     0x0001 /* RFC 8200 section 4.5 */
#define IP6_OFFSET   0xfff8
#define VLAN_LEN     4
#define EXT_MOST     6	  /* extension headers looked through */
#define EXT_LEN_MOST 2048 /* bytes of one: RFC 8200 counts in 8 */
#define L4_MOST	     2048 /* no TCP header begins further inside */

/* What the parser says when the packet may be somebody's; a verdict otherwise. */
enum parsed {
	PARSED_FLOW = LB_VERDICT_COUNT, /* TCP or UDP, not a later fragment */
	PARSED_RARE,			/* ICMP, or a later fragment */
};

struct vlan {
	__be16 tag;
	__be16 proto;
};

struct ext {
	__u8 next;
	__u8 len;
	__be16 offset; /* of a fragment header */
	__be32 id;
};

static __always_inline void packet_read_tcp(const struct tcphdr *tcp, struct packet *pkt)
{
	__u32 ip_len = pkt->l4 - pkt->l3;

	pkt->seq = bpf_ntohl(tcp->seq);
	pkt->ack = bpf_ntohl(tcp->ack_seq);
	pkt->tcp_len = tcp->doff * 4;
	pkt->flags = ((const __u8 *)tcp)[13];
	if (pkt->tcp_len < sizeof(*tcp) || ip_len + pkt->tcp_len > pkt->len)
		pkt->bad = true;
	else
		pkt->payload = pkt->len - ip_len - pkt->tcp_len;
}

static __always_inline __u32 packet_parse_tcp(struct ctx_kind *ctx, struct packet *pkt)
{
	const struct tcphdr *tcp = ctx_at(ctx, pkt->l4, sizeof(*tcp));
	const __be16 *ports;

	if (tcp) {
		pkt->key.sport = tcp->source;
		pkt->key.dport = tcp->dest;
		pkt->bad = pkt->len < pkt->l4 - pkt->l3 + sizeof(*tcp);
		packet_read_tcp(tcp, pkt);
		return PARSED_FLOW;
	}
	ports = ctx_at(ctx, pkt->l4, 2 * sizeof(*ports));
	if (!ports)
		return LB_V_NOT_HANDLED;
	pkt->key.sport = ports[0];
	pkt->key.dport = ports[1];
	pkt->bad = true;
	return PARSED_FLOW;
}

static __always_inline __u32 packet_parse_udp(struct ctx_kind *ctx, struct packet *pkt)
{
	const struct udphdr *udp = ctx_at(ctx, pkt->l4, sizeof(*udp));
	const __be16 *ports = (const void *)udp;
	__u32 ip_len = pkt->l4 - pkt->l3;

	pkt->bad = !udp || pkt->len < ip_len + sizeof(*udp);
	if (!udp) {
		ports = ctx_at(ctx, pkt->l4, 2 * sizeof(*ports));
		if (!ports)
			return LB_V_NOT_HANDLED;
	} else if (!pkt->fragment && !ctx_segment(ctx)) {
		/* RFC 768; padding behind the datagram is allowed, a datagram behind the packet
		 * not. */
		__u32 len = bpf_ntohs(udp->len);

		if (len < sizeof(*udp) || ip_len + len > pkt->len)
			pkt->bad = true;
	}
	pkt->key.sport = ports[0];
	pkt->key.dport = ports[1];
	return PARSED_FLOW;
}

static __always_inline __u32 packet_parse_l4(struct ctx_kind *ctx, struct packet *pkt)
{
	__u32 parsed;

	if (pkt->fragment == FRAGMENT_LATER)
		return PARSED_RARE;
	if (pkt->key.proto == IPPROTO_TCP)
		parsed = packet_parse_tcp(ctx, pkt);
	else if (pkt->key.proto == IPPROTO_UDP)
		parsed = packet_parse_udp(ctx, pkt);
	else if (pkt->key.proto == (pkt->v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP))
		return PARSED_RARE;
	else
		return LB_V_NOT_HANDLED;
	if (pkt->l3 + pkt->len > pkt->bytes)
		pkt->bad = true;
	return parsed;
}

/* GSO packets above 64 KB carry 0 as their length (kernel: "BIG TCP"). */
static __always_inline __u32 ip_total(struct ctx_kind *ctx, const struct packet *pkt, __u32 total)
{
	return !total && ctx_segment(ctx) ? pkt->bytes - pkt->l3 : total;
}

static __always_inline __u32 packet_parse_v4(struct ctx_kind *ctx, struct packet *pkt)
{
	const struct iphdr *ip = ctx_at(ctx, pkt->l3, sizeof(*ip));

	if (!ip || ip->version != 4 || ip->ihl < 5)
		return LB_V_NOT_IP;
	ip_set_v4(&pkt->key.saddr, ip->saddr);
	ip_set_v4(&pkt->key.daddr, ip->daddr);
	pkt->key.proto = ip->protocol;
	pkt->l4 = pkt->l3 + ip->ihl * 4;
	pkt->ttl = ip->ttl;
	pkt->len = ip_total(ctx, pkt, bpf_ntohs(ip->tot_len));
	if (ip->frag_off & bpf_htons(IP_MORE | IP_OFFSET)) {
		pkt->frag_id = ip->id;
		pkt->fragment =
			ip->frag_off & bpf_htons(IP_OFFSET) ? FRAGMENT_LATER : FRAGMENT_FIRST;
	}
	return packet_parse_l4(ctx, pkt);
}

static __always_inline bool ext_is(__u8 next)
{
	return next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_DSTOPTS ||
	       next == IPPROTO_FRAGMENT;
}

/* One extension header at pkt->l4. False: it is truncated. */
static __always_inline bool ext_step(struct ctx_kind *ctx, struct packet *pkt)
{
	const struct ext *ext = ctx_at(ctx, pkt->l4, sizeof(*ext));
	__u32 len;

	if (!ext || pkt->l4 > L4_MOST)
		return false;
	len = ((__u32)ext->len + 1) * 8;
	if (pkt->key.proto == IPPROTO_FRAGMENT) {
		len = sizeof(*ext);
		pkt->frag_id = ext->id;
		if (ext->offset & bpf_htons(IP6_OFFSET))
			pkt->fragment = FRAGMENT_LATER;
		else if (ext->offset & bpf_htons(IP6_MORE))
			pkt->fragment = FRAGMENT_FIRST;
	}
	pkt->key.proto = ext->next;
	pkt->l4 += len;
	return true;
}

/* Out of line: few packets have any. 0, or nonzero when they cannot be followed to their end. */
VERIFIED_ALONE int packet_skip_ext(struct ctx_kind *ctx, struct packet *pkt)
{
	if (!pkt)
		return -1;
	for (int i = 0; i < EXT_MOST && ext_is(pkt->key.proto); i++) {
		if (!ext_step(ctx, pkt))
			return -1;
		if (pkt->fragment == FRAGMENT_LATER)
			return 0;
	}
	return ext_is(pkt->key.proto) || pkt->l4 > L4_MOST ? -1 : 0;
}

static __always_inline __u32 packet_parse_v6(struct ctx_kind *ctx, struct packet *pkt)
{
	const struct ipv6hdr *ip = ctx_at(ctx, pkt->l3, sizeof(*ip));
	__u32 payload;

	if (!ip || ip->version != 6)
		return LB_V_NOT_IP;
	__builtin_memcpy(&pkt->key.saddr, &ip->saddr, sizeof(pkt->key.saddr));
	__builtin_memcpy(&pkt->key.daddr, &ip->daddr, sizeof(pkt->key.daddr));
	/* Never on the wire (RFC 6890 table 20), and here they mean IPv4. */
	if (ip_is_v4(&pkt->key.saddr) || ip_is_v4(&pkt->key.daddr))
		return LB_V_NOT_HANDLED;
	pkt->v6 = true;
	pkt->key.proto = ip->nexthdr;
	pkt->ttl = ip->hop_limit;
	pkt->l4 = pkt->l3 + sizeof(*ip);
	payload = bpf_ntohs(ip->payload_len);
	pkt->len = ip_total(ctx, pkt, payload ? payload + sizeof(*ip) : 0);
	if (ext_is(pkt->key.proto) && packet_skip_ext(ctx, pkt))
		return LB_V_NOT_HANDLED;
	return packet_parse_l4(ctx, pkt);
}

static __always_inline bool is_vlan(__be16 proto)
{
	return proto == bpf_htons(ETH_P_8021Q) || proto == bpf_htons(ETH_P_8021AD);
}

/* enum parsed, or the verdict with which the packet passes. */
static __always_inline __u32 packet_parse(struct ctx_kind *ctx, struct packet *pkt)
{
	const struct ethhdr *eth = ctx_at(ctx, 0, sizeof(*eth));
	const struct vlan *vlan;
	__be16 proto;

	if (!eth)
		return LB_V_NOT_IP;
	proto = eth->h_proto;
	pkt->l3 = sizeof(*eth);
#pragma unroll
	for (int i = 0; i < 2 && is_vlan(proto); i++) {
		vlan = ctx_at(ctx, pkt->l3, sizeof(*vlan));
		if (!vlan)
			return LB_V_NOT_IP;
		proto = vlan->proto;
		pkt->l3 += sizeof(*vlan);
	}
	if (proto == bpf_htons(ETH_P_IP))
		return packet_parse_v4(ctx, pkt);
	if (proto == bpf_htons(ETH_P_IPV6))
		return packet_parse_v6(ctx, pkt);
	return LB_V_NOT_IP;
}

#endif
