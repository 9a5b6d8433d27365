/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Reading a packet's headers, once, and checking that they agree with each other and the frame.
 *
 * Owns: nothing. Reads through the verbs of ctx_xdp.h or ctx_tc.h, which the entry point includes
 * first. IPv4 with options and TCP are read; fragments, other protocols, IPv6 and tagged frames are
 * passed by name.
 * May know: packet.h.
 */
#ifndef LB_PARSE_H
#define LB_PARSE_H

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/tcp.h>

#include "packet.h"

#define IP_FRAGMENT 0x3fff /* more-fragments or an offset, RFC 791 section 3.1 */

/* GSO packets above 64 KB carry 0 as their length (kernel: "BIG TCP"). */
static __always_inline __u32 ip_total(struct ctx_kind *ctx, const struct iphdr *ip)
{
	if (!ip->tot_len && ctx_segment(ctx))
		return ctx_len(ctx) - ETH_HLEN;
	return bpf_ntohs(ip->tot_len);
}

static __always_inline void packet_read_tcp(const struct tcphdr *tcp, struct packet *pkt)
{
	pkt->key.sport = tcp->source;
	pkt->key.dport = tcp->dest;
	pkt->seq = bpf_ntohl(tcp->seq);
	pkt->ack = bpf_ntohl(tcp->ack_seq);
	pkt->tcp_len = tcp->doff * 4;
	pkt->flags = ((const __u8 *)tcp)[13];
	if (pkt->tcp_len < sizeof(*tcp) || pkt->ip_len + pkt->tcp_len > pkt->len)
		pkt->bad = true;
	else
		pkt->payload = pkt->len - pkt->ip_len - pkt->tcp_len;
}

/* Returns LB_VERDICT_COUNT when the packet may be somebody's, else why it is passed. */
static __always_inline __u32 packet_parse_tcp(struct ctx_kind *ctx, struct packet *pkt)
{
	const struct tcphdr *tcp = ctx_at(ctx, ETH_HLEN + pkt->ip_len, sizeof(*tcp));
	const __be16 *ports;

	pkt->bad = pkt->len > pkt->bytes - ETH_HLEN || pkt->len < pkt->ip_len + sizeof(*tcp);
	if (tcp) {
		packet_read_tcp(tcp, pkt);
		return LB_VERDICT_COUNT;
	}
	ports = ctx_at(ctx, ETH_HLEN + pkt->ip_len, 2 * sizeof(*ports));
	if (!ports)
		return LB_V_NOT_HANDLED;
	pkt->key.sport = ports[0];
	pkt->key.dport = ports[1];
	pkt->bad = true;
	return LB_VERDICT_COUNT;
}

/* As packet_parse_tcp(). */
static __always_inline __u32 packet_parse(struct ctx_kind *ctx, struct packet *pkt)
{
	const struct ethhdr *eth = ctx_at(ctx, 0, ETH_HLEN + sizeof(struct iphdr));
	const struct iphdr *ip = (const void *)(eth + 1);

	if (!eth)
		return LB_V_NOT_IP;
	if (eth->h_proto == bpf_htons(ETH_P_IPV6))
		return LB_V_NOT_HANDLED;
	if (eth->h_proto != bpf_htons(ETH_P_IP) || ip->version != 4 || ip->ihl < 5)
		return LB_V_NOT_IP;
	if (ip->protocol != IPPROTO_TCP)
		return LB_V_NOT_HANDLED;
	if (ip->frag_off & bpf_htons(IP_FRAGMENT))
		return LB_V_FRAGMENT;
	ip_set_v4(&pkt->key.saddr, ip->saddr);
	ip_set_v4(&pkt->key.daddr, ip->daddr);
	pkt->key.proto = ip->protocol;
	pkt->ip_len = ip->ihl * 4;
	pkt->ttl = ip->ttl;
	pkt->len = ip_total(ctx, ip);
	return packet_parse_tcp(ctx, pkt);
}

#endif
