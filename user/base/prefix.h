/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A range of IP addresses, "10.0.0.0/8" or "fd00::/8", as a plain value.
 *
 * For: who may connect, and filters. Owns: nothing. Knows: addresses.
 * IPv4 is mapped as in struct addr, and <bits> counts the 96 in front: 10.0.0.0/8 has 104.
 */
#ifndef BASE_PREFIX_H
#define BASE_PREFIX_H

#include "base/addr.h"

#define PREFIX_V4_BITS	96
#define PREFIX_MAX_BITS 128
/* An address and "/128". */
#define PREFIX_TEXT_LEN (ADDR_TEXT_LEN + 4)

struct prefix {
	uint8_t ip[16];
	uint8_t bits;
};

/* An address alone is a prefix of all its bits. Returns NULL when <ret_prefix> was filled, else why
 * not: a constant sentence without the text itself. */
const char *prefix_parse(struct slice text, struct prefix *ret_prefix);
/* "10.0.0.0/8"; returns <text>. */
const char *prefix_format(const struct prefix *prefix, char text[static PREFIX_TEXT_LEN]);
bool prefix_is_ipv4(const struct prefix *prefix);
bool prefix_has(const struct prefix *prefix, const uint8_t ip[static 16]);
bool prefix_equal(const struct prefix *a, const struct prefix *b);

#endif
