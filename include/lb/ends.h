/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Where the two bits of an end lie in lb_ends: the daemon sets them, the BPF programs test them.
 * Both are in one word, which costs a few more strangers that are looked up and saves a read for
 * each packet.
 *
 * Owns: one hash. It needs no secret: who makes packets collide with an end only gets them looked
 * up. May know: abi.h.
 */
#ifndef LB_ENDS_H
#define LB_ENDS_H

#include "lb/abi.h"

/* Of the address alone; odd constants from the digits of pi. */
static inline __u64 lb_end_address(const struct lb_ip *addr)
{
	return addr->w[0] * 0x243f6a8885a308d3ULL + addr->w[1] * 0x13198a2e03707345ULL +
	       addr->w[2] * 0xa4093822299f31d1ULL + addr->w[3] * 0x082efa98ec4e6c89ULL;
}

/* Of the end; <port> 0: any port. */
static inline __u64 lb_end_hash(__u64 address, __be16 port, __u8 proto)
{
	__u64 hash = address + ((__u32)port << 8 | proto) * 0x452821e638d01377ULL;

	hash ^= hash >> 32;
	return hash * 0xbe5466cf34e90c6dULL;
}

/* The word that the bits are in, and which two they are. */
static inline __u32 lb_end_word(__u64 hash)
{
	return hash >> 48 & (LB_ENDS_WORDS - 1);
}

static inline __u64 lb_end_bits(__u64 hash)
{
	return 1ULL << (hash >> 40 & 63) | 1ULL << (hash >> 34 & 63);
}

/* Set when there is any end with port 0 at all: else nobody needs to ask for one. */
#define LB_END_ANY_PORT lb_end_hash(0, 0, 0)

#endif
