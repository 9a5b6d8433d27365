/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Internet checksum arithmetic (RFC 1071; updates by RFC 1624 equation 3). Sums are taken over
 * words as they lie in memory: the one's complement sum does not depend on byte order.
 *
 * Owns: nothing. May know: nothing.
 */
#ifndef LB_CHECKSUM_H
#define LB_CHECKSUM_H

#include <linux/types.h>

/* What a rewrite adds to the sum below a TCP or UDP checksum. */
struct checksum_change {
	__u32 pseudo; /* addresses, in the pseudo header */
	__u32 ports;
};

/* Any sum of at most 65536 halfwords; two folds take every carry. */
static __always_inline __u16 checksum_fold(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static __always_inline __u32 checksum_word(__u32 word)
{
	return (word & 0xffff) + (word >> 16);
}

/* What to add to a sum in which <old> became <new>. */
static __always_inline __u32 checksum_delta(__u32 old, __u32 new)
{
	return checksum_word(~old) + checksum_word(new);
}

static __always_inline __u16 checksum_update(__u16 check, __u32 delta)
{
	return ~checksum_fold((__u16)~check + delta);
}

#endif
