/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Frames of any kind from a description: tags, either family, extension headers, fragments, TCP,
 * UDP, ICMP, tunnels. Checksums are sums over the whole packet.
 *
 * For: what goes into the programs, and what must come out of them byte for byte.
 * Owns: nothing. May know: packet.h, include/lb. Must never know: bpf/.
 */
#ifndef TESTS_BPF_WIRE_H
#define TESTS_BPF_WIRE_H

#include "lb/abi.h"

#include "packet.h"

#define IP6_LEN	    40
#define UDP_LEN	    8
#define ICMP_LEN    8
#define FRAG_LEN    8
#define TAG_LEN	    4
#define PROTO_ICMP  1
#define PROTO_IPIP  4
#define PROTO_IPV6  41
#define PROTO_ICMP6 58
#define HOP_BY_HOP  0
#define ROUTING	    43
#define FRAGMENT    44
#define TO_OPTIONS  60

/* Numbers are in host order. IPv4 is mapped: it decides which header there is. */
struct wire {
	uint8_t dmac[6];
	uint8_t smac[6];
	uint16_t tags[2]; /* VLAN, outer first; 0: none */
	struct lb_ip saddr;
	struct lb_ip daddr;
	uint8_t proto;
	uint8_t ttl;
	uint8_t tos;
	uint8_t ip_options; /* IPv4: bytes, a multiple of 4 */
	uint32_t label;	    /* IPv6 */
	uint8_t ext[4];	    /* IPv6: extension headers of 8 bytes each, but no fragment header */
	uint8_t n_ext;
	bool df;
	uint32_t id;	  /* of the packet; IPv6: of the fragment header */
	uint16_t cut_at;  /* fragment: bytes of the payload before it, */
	uint16_t cut_len; /* ... and in it; 0: the packet is whole */
	uint16_t sport;
	uint16_t dport;
	uint32_t seq;
	uint32_t ack;
	uint8_t flags;	  /* TCP */
	uint8_t type;	  /* ICMP */
	uint8_t code;	  /* ICMP */
	uint32_t rest;	  /* ICMP: the word behind the checksum */
	bool no_sum;	  /* UDP without a checksum */
	uint16_t payload; /* bytes */
	uint32_t fill;	  /* seed of the payload */
	const void *data; /* the payload, if not NULL */
};

bool wire_is_v6(const struct wire *wire);
/* Link header and tags. */
uint32_t wire_l2_len(const struct wire *wire);
void wire_build(struct frame *frame, const struct wire *wire);
/* The ICMP error with which <router> answers the packet, quoting <quote> bytes of it. */
void wire_error(const struct wire *about, const struct lb_ip *router, uint32_t quote,
		struct wire *ret_error, struct frame *ret_quoted);

#endif
