/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A frame's headers, read, made and said in words.
 *
 * For: why (heads that the kernel kept) and trace (packets made to be tried). Owns: nothing; pure.
 * May know: base, include/lb. A frame may be cut anywhere: what is not there is not said.
 */
#ifndef DATAPLANE_FRAME_H
#define DATAPLANE_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "lb/abi.h"

#define FRAME_FIN 0x01
#define FRAME_SYN 0x02
#define FRAME_RST 0x04
#define FRAME_PSH 0x08
#define FRAME_ACK 0x10
#define FRAME_URG 0x20

#define FRAME_MADE_MAX 128 /* no made frame is longer */

/* How far the headers could be read. */
enum frame_depth { FRAME_NOTHING, FRAME_LINK, FRAME_IP, FRAME_PORTS, FRAME_WHOLE };

struct frame {
	enum frame_depth depth;
	uint8_t dmac[6];
	uint8_t smac[6];
	uint16_t ethertype; /* behind the tags, host order */
	uint16_t tags[2];   /* VLAN identifiers */
	uint8_t n_tags;
	bool v6;
	struct lb_flow_key key; /* ports: of TCP and UDP only */
	uint8_t ttl;
	uint8_t flags; /* FRAME_*, TCP */
	uint8_t icmp_type;
	uint8_t icmp_code;
	uint16_t fragment; /* bytes in front of this piece */
	bool more;	   /* ... and pieces follow */
	uint32_t seq;
	uint32_t ack;
	uint32_t len; /* as the IP header says, with it */
	size_t l3;    /* where the IP header begins */
	size_t inner; /* where an IP header within begins, 0: none */
};

void frame_read(const uint8_t *data, size_t len, struct frame *ret_frame);
/* The same from an IP header on. */
void frame_read_ip(const uint8_t *data, size_t len, size_t at, struct frame *ret_frame);
/*
 * A TCP or UDP packet without payload, with checksums, by key, v6, ttl, flags and addresses of the
 * link; returns its length.
 */
size_t frame_make(const struct frame *frame, uint8_t out[static FRAME_MADE_MAX]);

/* "tcp 10.0.0.2:40000 > 10.0.0.100:80, syn, seq 7, ttl 64, 40 bytes". */
void frame_say(const struct frame *frame, struct buffer *text);
/* The frame and what it carries in a tunnel, with its link addresses. */
void frame_say_all(const uint8_t *data, size_t len, struct buffer *text);
/* "syn, ack"; "no flags". */
void frame_say_flags(uint8_t flags, struct buffer *text);

#endif
