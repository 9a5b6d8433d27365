/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "http/token.h"

#include <arpa/inet.h>

#include "base/parse.h"

#define T BYTE_TOKEN
#define V BYTE_VALUE
#define G BYTE_TARGET
#define H BYTE_HOST

/* Ranges are filled first, single bytes override them. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init"
const uint8_t byte_classes[256] = {
	['\t'] = V,
	[' '] = V,
	[0x21 ... 0x7e] = V | G,
	[0x80 ... 0xff] = V, /* obs-text */
	['0' ... '9'] = T | V | G | H | BYTE_DIGIT | BYTE_HEX,
	['A' ... 'F'] = T | V | G | H | BYTE_HEX,
	['G' ... 'Z'] = T | V | G | H,
	['a' ... 'f'] = T | V | G | H | BYTE_HEX,
	['g' ... 'z'] = T | V | G | H,
	['#'] = T | V,
	['%'] = T | V | G,
	['^'] = T | V | G,
	['`'] = T | V | G,
	['|'] = T | V | G,
	['!'] = T | V | G | H,
	['$'] = T | V | G | H,
	['&'] = T | V | G | H,
	['\''] = T | V | G | H,
	['*'] = T | V | G | H,
	['+'] = T | V | G | H,
	['-'] = T | V | G | H,
	['.'] = T | V | G | H,
	['_'] = T | V | G | H,
	['~'] = T | V | G | H,
	['('] = V | G | H,
	[')'] = V | G | H,
	[';'] = V | G | H,
	['='] = V | G | H,
};
#pragma GCC diagnostic pop

/*
 * True when each of the eight bytes is SP, visible ASCII or obs-text: the classic test for a byte
 * below n or equal to n in a word. HTAB is left to the slow path.
 */
static bool word_is_value(uint64_t word)
{
	const uint64_t ones = 0x0101010101010101u, highs = 0x8080808080808080u;
	uint64_t del = word ^ (ones * 0x7f);
	uint64_t below_space = (word - ones * 0x20) & ~word & highs;
	uint64_t is_del = (del - ones) & ~del & highs;

	return (below_space | is_del) == 0;
}

const char *value_run(const char *at, const char *end)
{
	uint64_t word;

	while (end - at >= (ptrdiff_t)sizeof(word)) {
		memcpy(&word, at, sizeof(word));
		if (!word_is_value(word))
			break;
		at += sizeof(word);
	}
	return byte_run(at, end, BYTE_VALUE);
}

bool token_valid(struct slice text)
{
	return text.len > 0 && token_stop(text) == text.ptr + text.len;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t';
}

struct slice slice_trim(struct slice text)
{
	while (text.len > 0 && is_space(text.ptr[0])) {
		text.ptr++;
		text.len--;
	}
	while (text.len > 0 && is_space(text.ptr[text.len - 1]))
		text.len--;
	return text;
}

bool list_next(struct slice *rest, struct slice *ret_element)
{
	const char *comma;
	size_t len;

	if (!rest->ptr)
		return false;
	comma = memchr(rest->ptr, ',', rest->len);
	len = comma ? (size_t)(comma - rest->ptr) : rest->len;
	*ret_element = slice_trim((struct slice){rest->ptr, len});
	*rest = comma ? (struct slice){comma + 1, rest->len - len - 1} : (struct slice){NULL, 0};
	return true;
}

/* "%" HEXDIG HEXDIG */
static const char *escape_stop(const char *at, const char *end)
{
	if (*at != '%')
		return at;
	for (int i = 0; i < 2; i++) {
		at++;
		if (at == end || !byte_is(*at, BYTE_HEX))
			return at;
	}
	return NULL;
}

static const char *reg_name_stop(struct slice host)
{
	const char *at = host.ptr, *end = host.ptr + host.len, *stop;

	while ((at = byte_run(at, end, BYTE_HOST)) < end) {
		stop = escape_stop(at, end);
		if (stop)
			return stop;
		at += 3;
	}
	return host.len > 0 ? NULL : at;
}

static bool ipv6_valid(struct slice text)
{
	char copy[INET6_ADDRSTRLEN];
	struct in6_addr addr;

	if (text.len >= sizeof(copy) || memchr(text.ptr, '\0', text.len))
		return false;
	memcpy(copy, text.ptr, text.len);
	copy[text.len] = '\0';
	return inet_pton(AF_INET6, copy, &addr) == 1;
}

/* ":" [port]; an empty port means the default one, RFC 3986 section 3.2.3. */
static const char *port_stop(struct slice text)
{
	const char *digits = text.ptr + 1, *end = text.ptr + text.len, *stop;
	uint64_t port;

	if (text.len == 0)
		return NULL;
	if (text.ptr[0] != ':')
		return text.ptr;
	stop = byte_run(digits, end, BYTE_DIGIT);
	if (stop < end)
		return stop;
	if (text.len == 1)
		return NULL;
	if (text.len > sizeof(":65535") - 1 ||
	    !parse_u64((struct slice){digits, text.len - 1}, &port) || port > UINT16_MAX)
		return digits;
	return NULL;
}

/* "[" IPv6address "]", then <ret_rest>. */
static const char *bracket_stop(struct slice text, struct slice *ret_rest)
{
	const char *end = memchr(text.ptr, ']', text.len);

	if (!end)
		return text.ptr + text.len;
	if (!ipv6_valid((struct slice){text.ptr + 1, (size_t)(end - text.ptr - 1)}))
		return text.ptr + 1;
	*ret_rest = (struct slice){end + 1, (size_t)(text.ptr + text.len - end - 1)};
	return NULL;
}

const char *authority_stop(struct slice text)
{
	const char *colon, *stop;
	struct slice rest = {0};
	size_t host;

	if (text.len == 0)
		return text.ptr;
	if (text.ptr[0] == '[') {
		stop = bracket_stop(text, &rest);
		return stop ? stop : port_stop(rest);
	}
	colon = memchr(text.ptr, ':', text.len);
	host = colon ? (size_t)(colon - text.ptr) : text.len;
	stop = reg_name_stop((struct slice){text.ptr, host});
	return stop ? stop : port_stop((struct slice){text.ptr + host, text.len - host});
}
