/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What each byte may be in HTTP/1.1 text, as one table of bits, and runs of such bytes.
 *
 * For: the parsers of this room. Owns: a constant table. Knows: slices.
 * Runs never look at or past <end>.
 */
#ifndef HTTP_TOKEN_H
#define HTTP_TOKEN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

enum byte_class {
	BYTE_TOKEN = 1,	 /* tchar, RFC 9110 section 5.6.2 */
	BYTE_VALUE = 2,	 /* field-vchar, SP and HTAB, RFC 9110 section 5.5 */
	BYTE_TARGET = 4, /* visible ASCII but '#': a request target, loosely RFC 3986 */
	BYTE_HOST = 8,	 /* reg-name of RFC 3986 section 3.2.2 without ',' and '%' */
	BYTE_DIGIT = 16,
	BYTE_HEX = 32,
};

extern const uint8_t byte_classes[256];

static inline bool byte_is(char c, enum byte_class class)
{
	return (byte_classes[(unsigned char)c] & class) != 0;
}

/* The first byte from <at> that is not of <class>, or <end>. */
static inline const char *byte_run(const char *at, const char *end, enum byte_class class)
{
	while (at < end && byte_is(*at, class))
		at++;
	return at;
}

/* The same for BYTE_VALUE, eight bytes at a time. */
const char *value_run(const char *at, const char *end);

/* The first byte that is no tchar, or the end. */
static inline const char *token_stop(struct slice text)
{
	return byte_run(text.ptr, text.ptr + text.len, BYTE_TOKEN);
}

bool token_valid(struct slice text);	    /* 1*tchar */
struct slice slice_trim(struct slice text); /* without SP and HTAB at both ends */
/* Cuts the next element of a comma list off <rest>, trimmed, maybe empty; false at the end. */
bool list_next(struct slice *rest, struct slice *ret_element);
/* NULL for host [":" port] of RFC 9110 section 7.2, never empty; else where it stops being that,
 * which may be its end. */
const char *authority_stop(struct slice text);

#endif
