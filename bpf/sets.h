/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Where the record of a flow may stand: in sets of four neighbours, which the hash of the client's
 * key gives.
 *
 * Owns: lb_crowds. Most flows live in the first of their sets: a packet of theirs reads one place
 * in memory, its record. (An index before it would be a second one, and each costs as much as all
 * the rest of the way.)
 * May know: hash.h.
 */
#ifndef LB_SETS_H
#define LB_SETS_H

#include "hash.h"

static __always_inline __u32 set_home(__u64 hash)
{
	return (hash >> 32) * LB_SETS(max_flows) >> 32;
}

/* The set that comes after the one of <hash>, which it changes. */
static __always_inline __u32 set_next(__u64 *hash)
{
	*hash = hash_mix(*hash + 1);
	return set_home(*hash);
}

static __always_inline __u64 *crowd_word(__u32 set)
{
	__u32 at = set / 8;

	return bpf_map_lookup_elem(&lb_crowds, &at);
}

/* How many flows whose home is this set live elsewhere. */
static __always_inline __u32 crowd_of(__u32 set)
{
	const __u64 *word = crowd_word(set);

	return word ? READ_ONCE(*word) >> set % 8 * 8 & 0xff : 0;
}

static __always_inline void crowd_add(__u32 set, __s64 count)
{
	__u64 *word = crowd_word(set);

	if (word)
		__sync_fetch_and_add(word, (__u64)count << set % 8 * 8);
}

#endif
