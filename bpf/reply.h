/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Answering a TCP segment by RST, in its own buffer and back to where it came from.
 *
 * Owns: lb_bucket, the limit of answers per CPU. IP options keep their place as no-operations: the
 * TCP header must stay where a partial checksum of an skb expects it.
 * May know: packet.h, checksum.h, the verbs of ctx_*.h.
 */
#ifndef LB_REPLY_H
#define LB_REPLY_H

#include <stddef.h>

#include "checksum.h"
#include "parse.h"

#define REPLY_TTL      64
#define IP_DF	       0x4000
#define NS_PER_S       1000000000ULL
#define IP_OPTIONS_MAX 40
#define IP_NOPS	       0x01010101U /* RFC 791 section 3.1, option type 1 */

struct bucket {
	__u64 filled_at;
	__u64 tokens;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct bucket);
} lb_bucket SEC(".maps");

struct reply {
	struct ethhdr eth;
	struct iphdr ip;
};

static __always_inline bool reply_allowed(void)
{
	__u32 zero = 0;
	struct bucket *bucket = bpf_map_lookup_elem(&lb_bucket, &zero);
	__u64 now = bpf_ktime_get_coarse_ns();
	__u64 passed;

	if (!bucket)
		return false;
	passed = now - bucket->filled_at;
	if (passed >= NS_PER_S)
		bucket->tokens = reply_burst;
	else
		bucket->tokens += passed * reply_rate / NS_PER_S;
	/* Time worth less than a token is kept for the next packet. */
	if (passed * reply_rate >= NS_PER_S)
		bucket->filled_at = now;
	if (bucket->tokens > reply_burst)
		bucket->tokens = reply_burst;
	if (!bucket->tokens)
		return false;
	bucket->tokens--;
	return true;
}

static __always_inline __u32 ip_sum(const struct iphdr *ip)
{
	const __u16 *half = (const void *)ip;
	__u32 sum = 0;

	for (unsigned int i = 0; i < sizeof(*ip) / sizeof(*half); i++)
		sum += half[i];
	return sum;
}

/* The headers up to and without options, from those at the start of the frame. */
static __always_inline void reply_fill_ip(const struct packet *pkt, const struct ethhdr *eth,
					  struct reply *reply)
{
	__u32 options = pkt->ip_len - sizeof(reply->ip);

	__builtin_memcpy(reply->eth.h_dest, eth->h_source, ETH_ALEN);
	__builtin_memcpy(reply->eth.h_source, eth->h_dest, ETH_ALEN);
	reply->eth.h_proto = eth->h_proto;
	reply->ip.version = 4;
	reply->ip.ihl = pkt->ip_len / 4;
	reply->ip.tot_len = bpf_htons(pkt->ip_len + sizeof(struct tcphdr));
	reply->ip.frag_off = bpf_htons(IP_DF);
	reply->ip.ttl = REPLY_TTL;
	reply->ip.protocol = IPPROTO_TCP;
	reply->ip.saddr = pkt->key.daddr.w[3];
	reply->ip.daddr = pkt->key.saddr.w[3];
	reply->ip.check = ~checksum_fold(ip_sum(&reply->ip) + options / 4 * checksum_word(IP_NOPS));
}

/* RFC 9293 section 3.10.7.1. */
static __always_inline void reply_fill_tcp(const struct packet *pkt, struct tcphdr *tcp)
{
	__u32 end = pkt->seq + pkt->payload + (pkt->flags & TCP_SYN ? 1 : 0) +
		    (pkt->flags & TCP_FIN ? 1 : 0);

	tcp->source = pkt->key.dport;
	tcp->dest = pkt->key.sport;
	tcp->doff = sizeof(*tcp) / 4;
	tcp->rst = 1;
	if (pkt->flags & TCP_ACK) {
		tcp->seq = bpf_htonl(pkt->ack);
		return;
	}
	tcp->ack = 1;
	tcp->ack_seq = bpf_htonl(end);
}

static __always_inline __u16 reply_tcp_check(const struct packet *pkt, const struct tcphdr *tcp,
					     bool partial)
{
	const __u16 *half = (const void *)tcp;
	__u32 sum = checksum_word(pkt->key.saddr.w[3]) + checksum_word(pkt->key.daddr.w[3]) +
		    bpf_htons(IPPROTO_TCP) + bpf_htons(sizeof(*tcp));

	/* A partial one holds the sum itself, not its complement (kernel: skb_checksum_help). */
	if (partial)
		return checksum_fold(sum);
	for (unsigned int i = 0; i < sizeof(*tcp) / sizeof(*half); i++)
		sum += half[i];
	return ~checksum_fold(sum);
}

static __always_inline void reply_write(struct ctx_kind *ctx, const struct packet *pkt,
					const struct reply *reply, const struct tcphdr *tcp)
{
	const __u32 nops = IP_NOPS;

	ctx_write(ctx, 0, &reply->eth, sizeof(reply->eth));
	ctx_write(ctx, ETH_HLEN, &reply->ip, sizeof(reply->ip));
	for (__u32 i = 0; i < IP_OPTIONS_MAX / sizeof(nops); i++) {
		if (sizeof(reply->ip) + i * sizeof(nops) >= pkt->ip_len)
			break;
		ctx_write(ctx, ETH_HLEN + sizeof(reply->ip) + i * sizeof(nops), &nops,
			  sizeof(nops));
	}
	ctx_write(ctx, ETH_HLEN + pkt->ip_len, tcp, sizeof(*tcp));
}

/* Turns the packet into a RST and sends it back. Returns the action; CTX_DROP when it cannot. */
VERIFIED_ALONE int reply_rst(struct ctx_kind *ctx, const struct packet *pkt)
{
	const struct ethhdr *eth = ctx_at(ctx, 0, sizeof(*eth));
	struct reply reply = {};
	struct tcphdr tcp = {};
	bool partial;
	__u32 tcp_at;

	if (!eth || !pkt)
		return CTX_DROP;
	tcp_at = ETH_HLEN + pkt->ip_len;
	reply_fill_ip(pkt, eth, &reply);
	reply_fill_tcp(pkt, &tcp);
	if (ctx_trim(ctx, tcp_at + sizeof(tcp), tcp_at + offsetof(struct tcphdr, check), &partial))
		return CTX_DROP;
	tcp.check = reply_tcp_check(pkt, &tcp, partial);
	reply_write(ctx, pkt, &reply, &tcp);
	return ctx_bounce(ctx);
}

#endif
