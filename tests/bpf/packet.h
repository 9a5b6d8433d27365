/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Frames as bytes: built from a description, with checksums summed over the whole packet.
 *
 * For: what goes into the programs, and what must come out of them byte for byte.
 * Owns: nothing. Must never know: bpf/. Its checksum is RFC 1071's definition, never an update of
 * an old one, so that the two can be compared.
 */
#ifndef TESTS_BPF_PACKET_H
#define TESTS_BPF_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAME_MAX 3000
#define ETH_LEN	  14
#define IP_LEN	  20
#define TCP_LEN	  20

#define FIN 0x01
#define SYN 0x02
#define RST 0x04
#define PSH 0x08
#define ACK 0x10
#define URG 0x20

struct frame {
	uint32_t len;
	uint8_t bytes[FRAME_MAX];
};

/* Numbers are in host order. */
struct segment {
	uint8_t dmac[6];
	uint8_t smac[6];
	uint32_t saddr;
	uint32_t daddr;
	uint16_t sport;
	uint16_t dport;
	uint32_t seq;
	uint32_t ack;
	uint8_t flags;
	uint8_t ttl;
	uint8_t tos;
	uint8_t ip_options;  /* bytes, a multiple of 4 */
	uint8_t tcp_options; /* the same */
	uint8_t option;	     /* what options are made of; 0: of <fill>, as the payload */
	uint16_t id;
	uint16_t fragment; /* flags and offset, RFC 791 section 3.1 */
	uint16_t window;
	uint16_t payload; /* bytes */
	uint32_t fill;	  /* seed of the bytes that mean nothing */
};

void frame_build(struct frame *frame, const struct segment *segment);
/* The RST that answers <segment>: RFC 9293 section 3.10.7.1, without options. */
void segment_refuse(const struct segment *segment, struct segment *ret_rst);

/* The one's complement sum of the bytes, complemented; <start> is added to it. */
uint16_t checksum_of(const uint8_t *bytes, size_t len, uint64_t start);
/* Whether both checksums of a whole frame verify: the sums with the checksums are all ones. */
bool frame_sums_right(const struct frame *frame);
bool frame_equal(const struct frame *a, const struct frame *b);
void frame_print(const char *title, const struct frame *frame);
void frame_put16(struct frame *frame, uint32_t at, uint16_t value);
uint16_t frame_get16(const struct frame *frame, uint32_t at);

/* xorshift32: the same numbers everywhere from the same seed, which is never 0. */
uint32_t random_next(uint32_t *seed);
/* LBD_TEST_SEED, else from the clock. Printed, so that a failure can be had again. */
uint32_t random_seed(void);

#endif
