/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The hash of a flow key.
 *
 * Owns: nothing. Multilinear over 32-bit words with secret odd multipliers, so that nobody outside
 * can aim at a bucket (Lemire and Kaser, "Strongly universal string hashing is fast", 2014), then
 * mixed, because the low bits of a product know only the low bits of its factors.
 * May know: packet.h.
 */
#ifndef LB_HASH_H
#define LB_HASH_H

#include "packet.h"

/* The finalizer of MurmurHash3: every bit of the input moves every bit of the output. */
static __always_inline __u64 hash_mix(__u64 hash)
{
	hash ^= hash >> 33;
	hash *= 0xff51afd7ed558ccdULL;
	hash ^= hash >> 33;
	hash *= 0xc4ceb9fe1a85ec53ULL;
	return hash ^ hash >> 33;
}

/* Mapped addresses differ in their last word only. */
static __always_inline __u64 hash_ip(const struct lb_ip *ip, const __u64 *keys)
{
	__u64 hash = ip->w[3] * keys[3];

	if (ip->q[0])
		hash += ip->w[0] * keys[0] + ip->w[1] * keys[1] + ip->w[2] * keys[2];
	return hash;
}

static __always_inline __u64 hash_key(const struct lb_flow_key *key, const __u64 *keys)
{
	__u64 hash = hash_ip(&key->saddr, keys) + hash_ip(&key->daddr, keys + 4);

	hash += ((__u32)key->sport << 16 | key->dport) * keys[8];
	hash += ((__u32)key->zone << 8 | key->proto) * keys[9];
	return hash_mix(hash);
}

#endif
