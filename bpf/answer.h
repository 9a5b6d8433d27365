/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Answers: packets made from the one that arrived, in its own buffer, and sent back to where it
 * came from. RST (RFC 9293 section 3.10.7.1), ICMP port unreachable and need-frag (RFC 792, 1191),
 * ICMPv6 port unreachable and packet-too-big (RFC 4443).
 *
 * Owns: lb_bucket, the limit of answers per CPU, and lb_answer, where they are built. Tags stay. IP
 * options and extension headers do not: what follows them is moved to a plain header.
 *
 * Under TC the sender's device may still have to finish the checksum of the segment that arrived:
 * it will write at a known place the complement of the sum from a known place on. There the answer
 * has what makes that sum come out as the two bytes that belong there (answer_seed). May know:
 * parse.h, checksum.h, the verbs of ctx_*.h.
 */
#ifndef LB_ANSWER_H
#define LB_ANSWER_H

#include <stddef.h>

#include "checksum.h"
#include "parse.h"

#define ANSWER_TTL  64
#define ANSWER_DF   0x4000
#define QUOTE_MOST  512 /* RFC 1812 section 4.3.2.3: as much as fits 576 bytes */
#define ICMP_HEAD   8
#define ANSWER_MOST (sizeof(struct ipv6hdr) + ICMP_HEAD + QUOTE_MOST)

struct bucket {
	__u32 filled; /* ticks */
	__u32 tokens;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct bucket);
} lb_bucket SEC(".maps");

/* An IP header, what follows it, and room that the verifier sees behind a bounded length. */
struct answer {
	__u8 data[2048];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct answer);
} lb_answer SEC(".maps");

struct icmp_head {
	__u8 type;
	__u8 code;
	__u16 check;
	__be32 rest;
};

static __always_inline bool answer_allowed(__u32 now)
{
	__u32 zero = 0;
	struct bucket *bucket = bpf_map_lookup_elem(&lb_bucket, &zero);
	struct lb_meta *meta = meta_get();
	__u32 passed;
	__u64 more;

	if (!bucket || !meta || !meta->second)
		return false;
	passed = now - bucket->filled;
	more = passed >= meta->second ? reply_burst : (__u64)passed * reply_rate / meta->second;
	if (dry)
		return more + bucket->tokens;
	/* Time worth less than a token is kept for the next packet. */
	if (more)
		bucket->filled = now;
	more += bucket->tokens;
	bucket->tokens = more > reply_burst ? reply_burst : more;
	if (!bucket->tokens)
		return false;
	bucket->tokens--;
	return true;
}

static __always_inline struct answer *answer_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&lb_answer, &zero);
}

static __always_inline __u32 sum_halves(const void *data, __u32 len)
{
	const __u16 *half = data;
	__u32 sum = 0;

	for (__u32 i = 0; i < len / sizeof(*half); i++)
		sum += half[i];
	return sum;
}

/* From the packet's destination to its source; <len> bytes follow. */
static __always_inline void answer_v4(const struct packet *pkt, struct iphdr *ip, __u8 proto,
				      __u32 len)
{
	*ip = (struct iphdr){
		.version = 4,
		.ihl = 5,
		.tot_len = bpf_htons(sizeof(*ip) + len),
		.frag_off = bpf_htons(ANSWER_DF),
		.ttl = ANSWER_TTL,
		.protocol = proto,
		.saddr = pkt->key.daddr.w[3],
		.daddr = pkt->key.saddr.w[3],
	};
	ip->check = ~checksum_fold(sum_halves(ip, sizeof(*ip)));
}

static __always_inline void answer_v6(const struct packet *pkt, struct ipv6hdr *ip, __u8 proto,
				      __u32 len)
{
	__builtin_memset(ip, 0, sizeof(*ip));
	ip->version = 6;
	ip->payload_len = bpf_htons(len);
	ip->nexthdr = proto;
	ip->hop_limit = ANSWER_TTL;
	__builtin_memcpy(&ip->saddr, &pkt->key.daddr, sizeof(ip->saddr));
	__builtin_memcpy(&ip->daddr, &pkt->key.saddr, sizeof(ip->daddr));
}

static __always_inline __u32 ip_header_len(const struct packet *pkt)
{
	return pkt->v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
}

static __always_inline void answer_ip(const struct packet *pkt, struct answer *answer, __u8 proto,
				      __u32 len)
{
	if (pkt->v6)
		answer_v6(pkt, (void *)answer->data, proto, len);
	else
		answer_v4(pkt, (void *)answer->data, proto, len);
}

/* RFC 9293 section 3.1, RFC 8200 section 8.1; IPv4's ICMP has none. */
static __always_inline __u32 pseudo_sum(const struct packet *pkt, __u8 proto, __u32 len)
{
	return sum_halves(&pkt->key.saddr.w[pkt->v6 ? 0 : 3], pkt->v6 ? 16 : 4) +
	       sum_halves(&pkt->key.daddr.w[pkt->v6 ? 0 : 3], pkt->v6 ? 16 : 4) + bpf_htons(proto) +
	       bpf_htons(len);
}

static __always_inline __u32 l4_check_at(const struct packet *pkt)
{
	return pkt->key.proto == IPPROTO_UDP ? offsetof(struct udphdr, check)
					     : offsetof(struct tcphdr, check);
}

/* bpf_csum_diff() takes 512 bytes at most before Linux 6.13 (net/core/filter.c). */
#define SUM_MOST 512

/* The sum of <len> bytes, rounded up to whole words, which are 0 behind the end. */
static __always_inline __s64 sum_long(__u8 *data, __u32 len, __u32 seed)
{
	__u32 rest = (len + 3) & 0x3fc;
	__s64 sum;

	if (rest <= SUM_MOST)
		return bpf_csum_diff(NULL, 0, (void *)data, rest & 0x3fc, seed);
	sum = bpf_csum_diff(NULL, 0, (void *)data, SUM_MOST, seed);
	return bpf_csum_diff(NULL, 0, (void *)(data + SUM_MOST), (rest - SUM_MOST) & 0x1fc, sum);
}

/*
 * Puts into the answer what makes a device that finishes the checksum of the old segment leave the
 * answer right: the device sums from <start> to the end and writes the complement at <at>.
 */
static __always_inline void answer_seed(struct answer *answer, __u32 start, __u32 at, __u32 end)
{
	__u16 *place;
	__u16 right;
	__s64 sum;

	if (start > 128 || at > 256 || at & 1 || start & 1 || end <= start ||
	    end - start > QUOTE_MOST)
		return;
	place = (void *)&answer->data[at];
	right = *place;
	*place = 0;
	sum = sum_long(&answer->data[start], end - start, 0);
	*place = ~checksum_fold(checksum_fold(sum & 0xffffffff) + (__u32)right);
}

/* Puts <len> bytes of the answer behind the link header and sends it back. */
static __always_inline int answer_send(struct ctx_kind *ctx, const struct packet *pkt,
				       struct answer *answer, __u32 len, bool partial)
{
	struct ethhdr *eth;
	__u8 mac[ETH_ALEN];

	if (partial)
		answer_seed(answer, pkt->l4 - pkt->l3, pkt->l4 - pkt->l3 + l4_check_at(pkt), len);
	if (ctx_resize(ctx, pkt->l3 + len))
		return CTX_DROP;
	if (!len || len > ANSWER_MOST || ctx_store(ctx, pkt->l3, answer->data, len))
		return CTX_DROP;
	eth = ctx_at(ctx, 0, sizeof(*eth));
	if (!eth)
		return CTX_DROP;
	__builtin_memcpy(mac, eth->h_dest, ETH_ALEN);
	__builtin_memcpy(eth->h_dest, eth->h_source, ETH_ALEN);
	__builtin_memcpy(eth->h_source, mac, ETH_ALEN);
	return ctx_bounce(ctx);
}

static __always_inline void answer_fill_rst(const struct packet *pkt, struct tcphdr *tcp)
{
	__u32 end = pkt->seq + pkt->payload + (pkt->flags & TCP_SYN ? 1 : 0) +
		    (pkt->flags & TCP_FIN ? 1 : 0);

	*tcp = (struct tcphdr){.source = pkt->key.dport,
			       .dest = pkt->key.sport,
			       .doff = sizeof(*tcp) / 4,
			       .rst = 1};
	if (pkt->flags & TCP_ACK) {
		tcp->seq = bpf_htonl(pkt->ack);
	} else {
		tcp->ack = 1;
		tcp->ack_seq = bpf_htonl(end);
	}
	tcp->check = ~checksum_fold(pseudo_sum(pkt, IPPROTO_TCP, sizeof(*tcp)) +
				    sum_halves(tcp, sizeof(*tcp)));
}

/* Turns the packet into a RST and sends it back. Returns the action; CTX_DROP when it cannot. */
VERIFIED_ALONE int answer_rst(struct ctx_kind *ctx, const struct packet *pkt)
{
	struct answer *answer = answer_get();
	bool partial;
	__u32 ip_len;

	if (!pkt || !answer)
		return CTX_DROP;
	ip_len = ip_header_len(pkt);
	partial = ctx_partial(ctx, pkt->l4 + l4_check_at(pkt));
	answer_ip(pkt, answer, IPPROTO_TCP, sizeof(struct tcphdr));
	answer_fill_rst(pkt, (void *)&answer->data[ip_len]);
	return answer_send(ctx, pkt, answer, ip_len + sizeof(struct tcphdr), partial);
}

static __always_inline void answer_fill_icmp(const struct packet *pkt, struct answer *answer,
					     const struct icmp_head *head, __u32 quote)
{
	__u32 ip_len = ip_header_len(pkt);
	struct icmp_head *icmp = (void *)&answer->data[ip_len];
	__s64 sum = pkt->v6 ? pseudo_sum(pkt, IPPROTO_ICMPV6, ICMP_HEAD + quote) : 0;

	*icmp = *head;
	sum = sum_long((void *)icmp, ICMP_HEAD + quote, sum);
	icmp->check = ~checksum_fold(checksum_fold(sum & 0xffffffff));
}

/*
 * Turns the packet into an ICMP error about itself, as it arrived, and sends it back. <head>: type,
 * code and the word behind the checksum. Returns the action.
 */
VERIFIED_ALONE int answer_icmp(struct ctx_kind *ctx, const struct packet *pkt,
			       const struct icmp_head *head)
{
	struct answer *answer = answer_get();
	__u32 ip_len;
	__u32 quote;
	bool partial;

	if (!pkt || !head || !answer)
		return CTX_DROP;
	ip_len = ip_header_len(pkt);
	quote = pkt->len < QUOTE_MOST ? pkt->len : QUOTE_MOST;
	if (quote < sizeof(struct iphdr) || quote > QUOTE_MOST)
		return CTX_DROP;
	if (ctx_load(ctx, pkt->l3, &answer->data[ip_len + ICMP_HEAD], quote))
		return CTX_DROP;
	/* Sums are taken over whole words. */
	__builtin_memset(&answer->data[ip_len + ICMP_HEAD + quote], 0, 4);
	partial = ctx_partial(ctx, pkt->l4 + l4_check_at(pkt));
	answer_ip(pkt, answer, pkt->v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP, ICMP_HEAD + quote);
	answer_fill_icmp(pkt, answer, head, quote);
	return answer_send(ctx, pkt, answer, ip_len + ICMP_HEAD + quote, partial);
}

/* RFC 1191 section 4, RFC 4443 section 3.2. */
static __always_inline int answer_too_big(struct ctx_kind *ctx, const struct packet *pkt, __u32 mtu)
{
	struct icmp_head head = {.type = 3, .code = 4, .rest = bpf_htonl(mtu & 0xffff)};

	if (pkt->v6)
		head = (struct icmp_head){.type = 2, .rest = bpf_htonl(mtu)};
	return answer_icmp(ctx, pkt, &head);
}

static __always_inline int answer_unreachable(struct ctx_kind *ctx, const struct packet *pkt)
{
	struct icmp_head head = {.type = 3, .code = 3};

	if (pkt->v6)
		head = (struct icmp_head){.type = 1, .code = 4};
	return answer_icmp(ctx, pkt, &head);
}

#endif
