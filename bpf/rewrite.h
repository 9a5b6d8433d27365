/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Rewriting a packet for its way on: one address, one port, the hop limit, the checksums.
 *
 * Owns: struct rewrite. The IPv4 header checksum is updated in place under both hooks: it is whole
 * in every skb, and a header with its checksum adds nothing to the skb's own sum. The TCP checksum
 * is the hook's to fix (ctx_fix_tcp).
 * May know: flow.h, checksum.h, the verbs of ctx_*.h.
 */
#ifndef LB_REWRITE_H
#define LB_REWRITE_H

#include "checksum.h"
#include "flow.h"
#include "parse.h"

struct rewrite {
	__be32 addr; /* of the destination from the client, of the source to it */
	__be16 port;
};

static __always_inline void rewrite_from(const struct lb_flow *flow, const struct packet *pkt,
					 struct rewrite *rewrite)
{
	rewrite->addr = pkt->from_client ? flow->backend_addr.w[3] : flow->vip.w[3];
	rewrite->port = pkt->from_client ? flow->backend_port : flow->vip_port;
}

/* What each packet on the wire will measure, from the IP header on. */
static __always_inline __u32 rewrite_size(struct ctx_kind *ctx, const struct packet *pkt)
{
	__u32 segment = ctx_segment(ctx);

	return segment ? pkt->ip_len + pkt->tcp_len + segment : pkt->len;
}

/* The hop limit's halfword loses 1 in its upper byte in network order (RFC 1141). */
static __always_inline __u32 ttl_delta(void)
{
	return (__u16)~bpf_htons(0x0100);
}

static __always_inline void rewrite_ip(struct iphdr *ip, const struct rewrite *rewrite,
				       bool from_client)
{
	__be32 old = from_client ? ip->daddr : ip->saddr;

	ip->check = checksum_update(ip->check, checksum_delta(old, rewrite->addr) + ttl_delta());
	ip->ttl--;
	if (from_client)
		ip->daddr = rewrite->addr;
	else
		ip->saddr = rewrite->addr;
}

/* Nonzero: the frame could not be read again, which cannot be. */
static __always_inline int rewrite_apply(struct ctx_kind *ctx, const struct packet *pkt,
					 const struct rewrite *rewrite)
{
	const struct lb_flow_key *key = &pkt->key;
	const struct checksum_change change = {
		.old_addr = pkt->from_client ? key->daddr.w[3] : key->saddr.w[3],
		.new_addr = rewrite->addr,
		.old_port = pkt->from_client ? key->dport : key->sport,
		.new_port = rewrite->port,
	};
	struct iphdr *ip;
	__be16 *ports;

	ctx_fix_tcp(ctx, ETH_HLEN + pkt->ip_len, &change);
	ports = ctx_at(ctx, ETH_HLEN + pkt->ip_len, 2 * sizeof(*ports));
	if (!ports)
		return -1;
	ports[pkt->from_client ? 1 : 0] = rewrite->port;
	ip = ctx_at(ctx, ETH_HLEN, sizeof(*ip));
	if (!ip)
		return -1;
	rewrite_ip(ip, rewrite, pkt->from_client);
	return 0;
}

#endif
