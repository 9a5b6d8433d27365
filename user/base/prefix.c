/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "base/prefix.h"

#include <stdio.h>
#include <string.h>

#include "base/parse.h"

/* The bits of byte <i> that belong to the first <bits>. */
static uint8_t mask_of(unsigned bits, unsigned i)
{
	if (bits >= 8 * (i + 1))
		return 0xff;
	return bits <= 8 * i ? 0 : (uint8_t)(0xff << (8 - (bits - 8 * i)));
}

static const char *parse_bits(struct slice text, bool v4, uint8_t *ret_bits)
{
	uint64_t bits;

	if (!parse_u64(text, &bits) || bits > (v4 ? 32 : PREFIX_MAX_BITS))
		return v4 ? "the length behind '/' must be a number from 0 to 32"
			  : "the length behind '/' must be a number from 0 to 128";
	*ret_bits = (uint8_t)(v4 ? bits + PREFIX_V4_BITS : bits);
	return NULL;
}

const char *prefix_parse(struct slice text, struct prefix *ret_prefix)
{
	const char *slash = text.len ? memchr(text.ptr, '/', text.len) : NULL;
	size_t len = slash ? (size_t)(slash - text.ptr) : text.len;
	struct prefix prefix = {.bits = PREFIX_MAX_BITS};
	struct addr addr;
	const char *why = NULL;

	if (addr_parse((struct slice){text.ptr, len}, false, &addr) || addr.port ||
	    *text.ptr == '[')
		return "not a prefix (10.0.0.0/8, fd00::/8) or an address";
	memcpy(prefix.ip, addr.ip, sizeof(prefix.ip));
	if (slash)
		why = parse_bits((struct slice){slash + 1, text.len - len - 1}, addr_is_ipv4(&addr),
				 &prefix.bits);
	for (unsigned i = 0; !why && i < sizeof(prefix.ip); i++) {
		if (prefix.ip[i] & ~mask_of(prefix.bits, i))
			why = "has bits behind the prefix: write them as zeros";
	}
	if (!why)
		*ret_prefix = prefix;
	return why;
}

const char *prefix_format(const struct prefix *prefix, char text[static PREFIX_TEXT_LEN])
{
	struct addr addr = {0};
	size_t len;

	memcpy(addr.ip, prefix->ip, sizeof(addr.ip));
	addr_format_ip(&addr, text);
	len = strlen(text);
	(void)snprintf(text + len, PREFIX_TEXT_LEN - len, "/%d",
		       prefix->bits - (prefix_is_ipv4(prefix) ? PREFIX_V4_BITS : 0));
	return text;
}

bool prefix_is_ipv4(const struct prefix *prefix)
{
	struct addr addr = {0};

	memcpy(addr.ip, prefix->ip, sizeof(addr.ip));
	return prefix->bits >= PREFIX_V4_BITS && addr_is_ipv4(&addr);
}

bool prefix_has(const struct prefix *prefix, const uint8_t ip[static 16])
{
	for (unsigned i = 0; i < sizeof(prefix->ip); i++) {
		if ((prefix->ip[i] ^ ip[i]) & mask_of(prefix->bits, i))
			return false;
	}
	return true;
}

bool prefix_equal(const struct prefix *a, const struct prefix *b)
{
	return a->bits == b->bits && memcmp(a->ip, b->ip, sizeof(a->ip)) == 0;
}
