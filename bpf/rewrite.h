/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Rewriting a packet for its way on: addresses, ports, the hop limit, the checksums.
 *
 * Owns: nothing. The IPv4 header checksum is updated in place under both hooks: it is whole
 * in every skb, and a header with its checksum adds nothing to the skb's own sum. TCP and UDP
 * checksums are the hook's to fix (ctx_fix_l4).
 * May know: flow.h, checksum.h, the verbs of ctx_*.h.
 */
#ifndef LB_REWRITE_H
#define LB_REWRITE_H

#include "checksum.h"
#include "flow.h"
#include "parse.h"

static __always_inline void rewrite_from(const struct lb_flow *flow,
					 const struct lb_backend *backend, const struct packet *pkt,
					 struct rewrite *rewrite)
{
	/* The way back takes off what the way there adds. */
	__u16 turn = pkt->from_client ? 0 : 0xffff;

	rewrite->sum_addresses = flow->sum_addresses ^ turn;
	rewrite->sum_ports = flow->sum_ports ^ turn;
	if (pkt->from_client) {
		rewrite->saddr = *flow_source(flow);
		rewrite->daddr = backend->addr;
		rewrite->sport = flow->source_port;
		rewrite->dport = flow_backend_port(flow, backend);
		return;
	}
	rewrite->saddr = *flow_vip(flow);
	rewrite->daddr = flow->client;
	rewrite->sport = flow->vip_port;
	rewrite->dport = flow->client_port;
}

/* What each packet on the wire will measure, from the IP header on. */
static __always_inline __u32 rewrite_size(struct ctx_kind *ctx, const struct packet *pkt)
{
	__u32 segment = ctx_segment(ctx);

	return segment ? pkt->l4 - pkt->l3 + pkt->tcp_len + segment : pkt->len;
}

/* The hop limit's halfword loses 1 in its upper byte in network order (RFC 1141). */
static __always_inline __u32 ttl_delta(void)
{
	return (__u16)~bpf_htons(0x0100);
}

/* IPv6 has its own in the lower byte. */
static __always_inline __u32 hop_limit_delta(void)
{
	return (__u16)~bpf_htons(0x0001);
}

static __always_inline __u32 ip_delta(const struct lb_ip *old, const struct lb_ip *new, bool v6)
{
	__u32 delta = checksum_delta(old->w[3], new->w[3]);

	if (v6)
		delta += checksum_delta(old->w[0], new->w[0]) +
			 checksum_delta(old->w[1], new->w[1]) +
			 checksum_delta(old->w[2], new->w[2]);
	return delta;
}

static __always_inline void rewrite_v4(struct iphdr *ip, const struct rewrite *rewrite, __u32 delta)
{
	ip->check = checksum_update(ip->check, delta + ttl_delta());
	ip->ttl--;
	ip->saddr = rewrite->saddr.w[3];
	ip->daddr = rewrite->daddr.w[3];
}

static __always_inline void rewrite_v6(struct ipv6hdr *ip, const struct rewrite *rewrite)
{
	ip->hop_limit--;
	__builtin_memcpy(&ip->saddr, &rewrite->saddr, sizeof(ip->saddr));
	__builtin_memcpy(&ip->daddr, &rewrite->daddr, sizeof(ip->daddr));
}

static __always_inline int rewrite_ip(struct ctx_kind *ctx, const struct packet *pkt,
				      const struct rewrite *rewrite, __u32 delta)
{
	void *ip;

	if (pkt->v6) {
		ip = ctx_at(ctx, pkt->l3, sizeof(struct ipv6hdr));
		if (!ip)
			return -1;
		rewrite_v6(ip, rewrite);
		ctx_fix_sum(ctx, hop_limit_delta());
		return 0;
	}
	ip = ctx_at(ctx, pkt->l3, sizeof(struct iphdr));
	if (!ip)
		return -1;
	rewrite_v4(ip, rewrite, delta);
	return 0;
}

static __always_inline __u32 ports_delta(const struct lb_flow_key *key,
					 const struct rewrite *rewrite)
{
	return checksum_delta((__u32)key->sport + ((__u32)key->dport << 16),
			      (__u32)rewrite->sport + ((__u32)rewrite->dport << 16));
}

/* Notes in the flow what rewriting the packet of its client that <pkt> is does to checksums. */
static __always_inline void rewrite_sum(struct lb_flow *flow, const struct packet *pkt,
					const struct rewrite *rewrite)
{
	const struct lb_flow_key *key = &pkt->key;

	flow->sum_addresses = checksum_fold(ip_delta(&key->saddr, &rewrite->saddr, pkt->v6) +
					    ip_delta(&key->daddr, &rewrite->daddr, pkt->v6));
	flow->sum_ports = checksum_fold(ports_delta(key, rewrite));
}

/* Nonzero: the frame could not be read again, which cannot be. */
static __always_inline int rewrite_apply(struct ctx_kind *ctx, const struct packet *pkt,
					 const struct rewrite *rewrite)
{
	struct checksum_change change = {
		.pseudo = rewrite->sum_addresses,
		.ports = rewrite->sum_ports,
	};
	__be16 *ports;

	/* Later fragments have no ports; the first one's checksum is the whole packet's. */
	if (pkt->fragment != FRAGMENT_LATER) {
		ctx_fix_l4(ctx, pkt->l4, pkt->key.proto, &change);
		ports = ctx_at(ctx, pkt->l4, 2 * sizeof(*ports));
		if (!ports)
			return -1;
		ports[0] = rewrite->sport;
		ports[1] = rewrite->dport;
	}
	/* IPv4 has its addresses in a checksum of its own, and ctx_fix_l4 counts on that. */
	if (pkt->v6)
		ctx_fix_sum(ctx, change.pseudo);
	return rewrite_ip(ctx, pkt, rewrite, change.pseudo);
}

/* Only the hop limit: where the packet reaches the backend as it was sent. */
static __always_inline int rewrite_ttl(struct ctx_kind *ctx, const struct packet *pkt)
{
	struct ipv6hdr *ip6;
	struct iphdr *ip;

	if (pkt->v6) {
		ip6 = ctx_at(ctx, pkt->l3, sizeof(*ip6));
		if (!ip6)
			return -1;
		ip6->hop_limit--;
		ctx_fix_sum(ctx, hop_limit_delta());
		return 0;
	}
	ip = ctx_at(ctx, pkt->l3, sizeof(*ip));
	if (!ip)
		return -1;
	ip->check = checksum_update(ip->check, ttl_delta());
	ip->ttl--;
	return 0;
}

#endif
