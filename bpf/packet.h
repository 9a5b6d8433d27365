/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A packet as it arrived: what its headers say.
 *
 * Owns: struct packet. May know: maps.h.
 */
#ifndef LB_PACKET_H
#define LB_PACKET_H

#include <bpf/bpf_endian.h>

#include "maps.h"

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

/* What the packet says once it is rewritten. */
struct rewrite {
	struct lb_ip saddr;
	struct lb_ip daddr;
	__be16 sport;
	__be16 dport;
	__u16 sum_addresses; /* what sums grow by: addresses, ports */
	__u16 sum_ports;
};

struct packet {
	/* Written before they are read. */
	struct lb_flow_key key;
	__u64 hash;   /* of the key */
	__u32 record; /* of its flow */
	__u32 now;    /* ticks */
	int action;   /* what the hook returns */
	__u32 len;    /* of IP header and payload */
	__u32 bytes;  /* of the frame */
	__u32 frag_id;
	__u16 l3; /* where the IP header is in the frame */
	__u16 l4; /* ... and the TCP, UDP or ICMP header */
	__u32 pad;
	struct lb_hop hop; /* where it goes */
	struct rewrite rewrite;
	/* Cleared for each packet. */
	__u64 word;    /* of its flow, as first seen */
	__u32 seq;     /* host order */
	__u32 ack;     /* host order */
	__u32 payload; /* bytes behind the TCP header */
	__u8 v6;
	__u8 tcp_len;
	__u8 flags; /* TCP_* */
	__u8 ttl;
	__u8 bad;	  /* ports are good, the rest contradicts itself */
	__u8 from_client; /* direction in its flow */
	__u8 fragment;	  /* enum fragment */
	__u8 error;	  /* an ICMP error: nothing is sent about it */
	__u8 pad2[3];
};

enum fragment { FRAGMENT_NONE = 0, FRAGMENT_FIRST, FRAGMENT_LATER };

static __always_inline void ip_set_v4(struct lb_ip *ip, __be32 addr)
{
	ip->q[0] = 0;
	ip->w[2] = bpf_htonl(0xffff);
	ip->w[3] = addr;
}

static __always_inline bool ip_equal(const struct lb_ip *a, const struct lb_ip *b)
{
	return a->q[0] == b->q[0] && a->q[1] == b->q[1];
}

static __always_inline bool ip_is_v4(const struct lb_ip *ip)
{
	return !ip->q[0] && ip->w[2] == bpf_htonl(0xffff);
}

/* Sets of verdicts. */
#define VERDICT_BIT(name) (1ULL << LB_V_##name)

static __always_inline bool verdict_in(__u32 verdict, __u64 bits)
{
	return bits >> (verdict & 63) & 1;
}

static __always_inline __u32 ticks_now(void)
{
	return bpf_jiffies64();
}

#endif
