/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * ICMP and ICMPv6: errors about a flow go to its other side with the packet they quote rewritten
 * (RFC 5508 section 4), echo requests to a service's address are answered, errors about our own
 * outer headers are remembered.
 *
 * Owns: lb_live.pmtu. A quote of the IP header and 8 bytes is enough. No skb has a partial ICMP
 * checksum, so that both hooks compute in the frame.
 * May know: forward.h.
 */
#ifndef LB_ICMP_H
#define LB_ICMP_H

#include "forward.h"

#define ICMP_ECHO_REPLY	  0
#define ICMP_UNREACHABLE  3
#define ICMP_NEED_FRAG	  4 /* code */
#define ICMP_ECHO	  8
#define ICMP_TIME	  11
#define ICMP_PARAMETER	  12
#define ICMP6_UNREACHABLE 1
#define ICMP6_TOO_BIG	  2
#define ICMP6_PARAMETER	  4
#define ICMP6_ECHO	  128
#define ICMP6_ECHO_REPLY  129
#define QUOTE_L4	  8
#define PMTU_LEAST	  576 /* RFC 1191: nothing smaller is believed */

static __always_inline void key_turn(struct lb_flow_key *key)
{
	struct lb_ip addr = key->saddr;
	__be16 port = key->sport;

	key->saddr = key->daddr;
	key->daddr = addr;
	key->sport = key->dport;
	key->dport = port;
}

/* Besides verdicts: the message goes to the flow's backend as any packet of its client. */
#define FORWARD_WHOLE (LB_VERDICT_COUNT + 2)

/* Where the quoted packet's parts are in the frame. */
struct quote {
	__u32 ip;
	__u32 l4;
	__u8 proto;
};

/* The error's own key, while the packet has that of its quote: it would not fit the stack. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct lb_flow_key);
} lb_icmp SEC(".maps");

static __always_inline bool icmp_is_error(const struct packet *pkt, __u8 type)
{
	if (pkt->v6)
		return type >= ICMP6_UNREACHABLE && type <= ICMP6_PARAMETER;
	return type == ICMP_UNREACHABLE || type == ICMP_TIME || type == ICMP_PARAMETER;
}

static __always_inline bool quote_read_v4(struct ctx_kind *ctx, struct quote *quote,
					  struct lb_flow_key *key)
{
	const struct iphdr *ip = ctx_at(ctx, quote->ip, sizeof(*ip));

	if (!ip || ip->version != 4 || ip->ihl < 5 || ip->frag_off & bpf_htons(IP_OFFSET))
		return false;
	ip_set_v4(&key->daddr, ip->saddr);
	ip_set_v4(&key->saddr, ip->daddr);
	quote->proto = ip->protocol;
	quote->l4 = quote->ip + ip->ihl * 4;
	return true;
}

static __always_inline bool quote_read_v6(struct ctx_kind *ctx, struct quote *quote,
					  struct lb_flow_key *key)
{
	const struct ipv6hdr *ip = ctx_at(ctx, quote->ip, sizeof(*ip));

	if (!ip || ip->version != 6)
		return false;
	__builtin_memcpy(&key->daddr, &ip->saddr, sizeof(key->daddr));
	__builtin_memcpy(&key->saddr, &ip->daddr, sizeof(key->saddr));
	if (ip_is_v4(&key->saddr) || ip_is_v4(&key->daddr))
		return false;
	quote->proto = ip->nexthdr;
	quote->l4 = quote->ip + sizeof(*ip);
	return true;
}

/* The key that an answer to the quoted packet would have, since the error is one. */
static __always_inline bool quote_read(struct ctx_kind *ctx, bool v6, struct quote *quote,
				       struct lb_flow_key *key)
{
	const __be16 *ports;

	__builtin_memset(key, 0, sizeof(*key));
	if (!(v6 ? quote_read_v6(ctx, quote, key) : quote_read_v4(ctx, quote, key)))
		return false;
	if (quote->proto != IPPROTO_TCP && quote->proto != IPPROTO_UDP)
		return false;
	ports = ctx_at(ctx, quote->l4, QUOTE_L4);
	if (!ports)
		return false;
	key->proto = quote->proto;
	key->dport = ports[0];
	key->sport = ports[1];
	return true;
}

/* Writes a halfword and says what that adds to the sum around it. */
static __always_inline __u32 put_half(__u16 *place, __u16 new)
{
	__u32 delta = (__u16) ~*place + (__u32) new;

	*place = new;
	return delta;
}

static __always_inline __u32 quote_ip(struct ctx_kind *ctx, const struct packet *pkt,
				      const struct quote *quote, const struct rewrite *rewrite)
{
	__u32 delta = ip_delta(&pkt->key.daddr, &rewrite->daddr, pkt->v6) +
		      ip_delta(&pkt->key.saddr, &rewrite->saddr, pkt->v6);
	struct ipv6hdr *ip6;
	struct iphdr *ip;

	if (pkt->v6) {
		ip6 = ctx_at(ctx, quote->ip, sizeof(*ip6));
		if (!ip6)
			return 0;
		__builtin_memcpy(&ip6->saddr, &rewrite->daddr, sizeof(ip6->saddr));
		__builtin_memcpy(&ip6->daddr, &rewrite->saddr, sizeof(ip6->daddr));
		return delta;
	}
	ip = ctx_at(ctx, quote->ip, sizeof(*ip));
	if (!ip)
		return 0;
	ip->saddr = rewrite->daddr.w[3];
	ip->daddr = rewrite->saddr.w[3];
	return delta + put_half(&ip->check, checksum_update(ip->check, delta));
}

static __always_inline __u32 quote_l4(struct ctx_kind *ctx, const struct packet *pkt,
				      const struct quote *quote, const struct rewrite *rewrite)
{
	__u32 at = quote->proto == IPPROTO_UDP ? offsetof(struct udphdr, check)
					       : offsetof(struct tcphdr, check);
	__u16 *ports = ctx_at(ctx, quote->l4, 2 * sizeof(*ports));
	__u32 pseudo = ip_delta(&pkt->key.daddr, &rewrite->daddr, pkt->v6) +
		       ip_delta(&pkt->key.saddr, &rewrite->saddr, pkt->v6);
	__u32 delta;
	__u16 *check;

	if (!ports)
		return 0;
	delta = put_half(&ports[0], rewrite->dport) + put_half(&ports[1], rewrite->sport);
	check = ctx_at(ctx, quote->l4 + at, sizeof(*check));
	if (!check || (quote->proto == IPPROTO_UDP && !*check))
		return delta; /* cut off, or none */
	return delta + put_half(check, checksum_update(*check, pseudo + delta));
}

/* The error's own addresses, and its checksum, which over IPv6 has them in its pseudo header. */
static __always_inline int error_rewrite(struct ctx_kind *ctx, const struct packet *pkt,
					 const struct lb_flow_key *outer,
					 const struct rewrite *rewrite, __u32 delta)
{
	struct rewrite own = {.saddr = outer->saddr, .daddr = rewrite->daddr};
	struct icmp_head *icmp = ctx_at(ctx, pkt->l4, sizeof(*icmp));
	__u32 addresses;

	if (!icmp)
		return -1;
	/* The flow's own end sent it: the other end knows that one by another address. */
	if (ip_equal(&outer->saddr, &pkt->key.saddr))
		own.saddr = rewrite->saddr;
	addresses = ip_delta(&outer->saddr, &own.saddr, pkt->v6) +
		    ip_delta(&outer->daddr, &own.daddr, pkt->v6);
	icmp->check = checksum_update(icmp->check, delta + (pkt->v6 ? addresses : 0));
	return rewrite_ip(ctx, pkt, &own, addresses);
}

static __always_inline __u32 error_forward(struct ctx_kind *ctx, struct packet *pkt,
					   struct lb_flow *flow, const struct quote *quote,
					   const struct lb_flow_key *outer)
{
	struct lb_backend *backend = backend_at(flow->backend);
	__u32 delta;
	int error;

	if (!flow_is_two_way(flow))
		return FORWARD_WHOLE;
	if (!backend)
		return drop(pkt, LB_V_INTERNAL);
	rewrite_from(flow, backend, pkt, &pkt->rewrite);
	error = hop_get(ctx, pkt, flow, backend);
	if (!flow_same(flow, pkt))
		return drop(pkt, LB_V_BAD_STATE);
	delta = quote_ip(ctx, pkt, quote, &pkt->rewrite);
	delta += quote_l4(ctx, pkt, quote, &pkt->rewrite);
	if (error_rewrite(ctx, pkt, outer, &pkt->rewrite, delta))
		return drop(pkt, LB_V_INTERNAL);
	pkt->action = error ? CTX_STACK : ctx_send(ctx, &pkt->hop);
	return pkt->action == CTX_STACK ? LB_V_TO_STACK : LB_V_ICMP_FORWARDED;
}

/* An error about an outer header of ours quotes, behind it, the client's packet. */
static __always_inline bool quote_enter(struct ctx_kind *ctx, struct quote *quote, bool *ret_v6)
{
	const struct udphdr *udp;
	const __u8 *ip;

	if (quote->proto == IPPROTO_UDP) {
		udp = ctx_at(ctx, quote->l4, sizeof(*udp));
		if (!udp || udp->dest != bpf_htons(GUE_PORT))
			return false;
		quote->l4 += sizeof(*udp);
	} else if (quote->proto != IPPROTO_IPIP && quote->proto != IPPROTO_IPV6) {
		return false;
	}
	ip = ctx_at(ctx, quote->l4, 1);
	if (!ip)
		return false;
	*ret_v6 = *ip >> 4 == 6;
	quote->ip = quote->l4;
	return true;
}

static __always_inline __u32 icmp_mtu(const struct packet *pkt, const struct icmp_head *icmp)
{
	if (pkt->v6)
		return icmp->type == ICMP6_TOO_BIG ? bpf_ntohl(icmp->rest) : 0;
	if (icmp->type != ICMP_UNREACHABLE || icmp->code != ICMP_NEED_FRAG)
		return 0;
	return bpf_ntohl(icmp->rest) & 0xffff;
}

/* False: not about a flow of ours. The path to its backend takes <mtu> bytes, 0: it did not say. */
VERIFIED_ALONE int tunnel_error(struct ctx_kind *ctx, struct packet *pkt, __u32 mtu)
{
	struct lb_meta *meta = meta_get();
	struct lb_flow *flow;
	struct lb_live *live;
	struct quote quote;
	bool v6 = false;

	if (!pkt || !meta)
		return false;
	quote.ip = pkt->l4 + ICMP_HEAD;
	if (!(pkt->v6 ? quote_read_v6(ctx, &quote, &pkt->key)
		      : quote_read_v4(ctx, &quote, &pkt->key)))
		return false;
	if (!quote_enter(ctx, &quote, &v6) || !quote_read(ctx, v6, &quote, &pkt->key))
		return false;
	/* The quote is the client's packet itself, not an answer to it. */
	key_turn(&pkt->key);
	pkt->hash = hash_key(&pkt->key, meta->hash_keys);
	flow = flow_find(pkt);
	if (!flow || flow_is_two_way(flow) || !pkt->from_client)
		return false;
	live = live_at(flow->backend);
	if (live && mtu >= PMTU_LEAST && !dry)
		WRITE_ONCE(live->pmtu, (__u64)pkt->now << 32 | mtu);
	return true;
}

static __always_inline __u32 icmp_error(struct ctx_kind *ctx, struct packet *pkt, __u32 mtu)
{
	struct quote quote = {.ip = pkt->l4 + ICMP_HEAD};
	__u32 zero = 0;
	struct lb_flow_key *outer = bpf_map_lookup_elem(&lb_icmp, &zero);
	struct lb_meta *meta = meta_get();
	struct lb_flow *flow = NULL;

	if (!outer || !meta)
		return LB_V_INTERNAL;
	*outer = pkt->key;
	pkt->error = true;
	if (quote_read(ctx, pkt->v6, &quote, &pkt->key)) {
		pkt->hash = hash_key(&pkt->key, meta->hash_keys);
		flow = flow_find(pkt);
	}
	if (flow && pkt->ttl <= 1)
		return LB_V_TTL_EXPIRED;
	if (flow)
		return error_forward(ctx, pkt, flow, &quote, outer);
	if (tunnel_error(ctx, pkt, mtu))
		return drop(pkt, LB_V_TUNNEL_ERROR);
	return LB_V_ICMP_UNKNOWN;
}

/* A reply has a hop limit of its own; one more here, for a rewrite takes one. */
static __always_inline void echo_renew(struct ctx_kind *ctx, const struct packet *pkt)
{
	struct ipv6hdr *ip6;
	struct iphdr *ip;
	__u16 *half;
	__u16 old;

	if (pkt->v6) {
		ip6 = ctx_at(ctx, pkt->l3, sizeof(*ip6));
		if (!ip6)
			return;
		ctx_fix_sum(ctx,
			    (__u16)~bpf_htons(ip6->hop_limit) + (__u32)bpf_htons(ANSWER_TTL + 1));
		ip6->hop_limit = ANSWER_TTL + 1;
		return;
	}
	ip = ctx_at(ctx, pkt->l3, sizeof(*ip));
	if (!ip)
		return;
	half = (__u16 *)&ip->ttl;
	old = *half;
	ip->ttl = ANSWER_TTL + 1;
	ip->check = checksum_update(ip->check, (__u16)~old + (__u32)*half);
}

static __always_inline void echo_turn(struct ctx_kind *ctx, const struct packet *pkt)
{
	struct rewrite back = {.saddr = pkt->key.daddr, .daddr = pkt->key.saddr};
	struct icmp_head *icmp = ctx_at(ctx, pkt->l4, sizeof(*icmp));
	__u16 *first = (void *)icmp;
	__u32 delta;

	if (!icmp)
		return;
	delta = (__u16) ~*first;
	icmp->type = pkt->v6 ? ICMP6_ECHO_REPLY : ICMP_ECHO_REPLY;
	icmp->check = checksum_update(icmp->check, delta + *first);
	echo_renew(ctx, pkt);
	/* Swapped addresses add nothing to any sum. */
	rewrite_ip(ctx, pkt, &back, 0);
}

/* An echo request to an address of a service. */
static __always_inline __u32 icmp_echo(struct ctx_kind *ctx, struct packet *pkt)
{
	struct ethhdr *eth;
	__u8 mac[ETH_ALEN];

	if (!answer_allowed(pkt->now))
		return drop(pkt, LB_V_RATE_LIMITED);
	echo_turn(ctx, pkt);
	eth = ctx_at(ctx, 0, sizeof(*eth));
	if (!eth)
		return LB_V_INTERNAL;
	__builtin_memcpy(mac, eth->h_dest, ETH_ALEN);
	__builtin_memcpy(eth->h_dest, eth->h_source, ETH_ALEN);
	__builtin_memcpy(eth->h_source, mac, ETH_ALEN);
	pkt->action = ctx_bounce(ctx);
	return LB_V_ECHO;
}

/* The verdict of an ICMP message, with the packet's action, or FORWARD_WHOLE. */
VERIFIED_ALONE __u32 icmp_packet(struct ctx_kind *ctx, struct packet *pkt)
{
	const struct icmp_head *icmp;
	__u32 mtu;

	if (!pkt)
		return LB_V_INTERNAL;
	icmp = ctx_at(ctx, pkt->l4, sizeof(*icmp));
	if (!icmp || pkt->l3 + pkt->len > pkt->bytes)
		return LB_V_NOT_HANDLED;
	if (icmp->type == (pkt->v6 ? ICMP6_ECHO : ICMP_ECHO)) {
		pkt->key.proto = LB_PROTO_ICMP;
		return service_find(&pkt->key) ? icmp_echo(ctx, pkt) : LB_V_NOT_OURS;
	}
	mtu = icmp_mtu(pkt, icmp);
	if (!icmp_is_error(pkt, icmp->type))
		return LB_V_NOT_HANDLED;
	return icmp_error(ctx, pkt, mtu);
}

#endif
