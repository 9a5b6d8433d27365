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
	return text.len > 0 &&
	       byte_run(text.ptr, text.ptr + text.len, BYTE_TOKEN) == text.ptr + text.len;
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

static bool reg_name_valid(struct slice host)
{
	for (size_t i = 0; i < host.len; i++) {
		if (byte_is(host.ptr[i], BYTE_HOST))
			continue;
		if (host.ptr[i] != '%' || host.len - i < 3 || !byte_is(host.ptr[i + 1], BYTE_HEX) ||
		    !byte_is(host.ptr[i + 2], BYTE_HEX))
			return false;
		i += 2;
	}
	return host.len > 0;
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
static bool port_valid(struct slice text)
{
	uint64_t port;

	if (text.len == 0)
		return true;
	if (text.ptr[0] != ':')
		return false;
	if (text.len == 1)
		return true;
	return text.len <= sizeof(":65535") - 1 &&
	       parse_u64((struct slice){text.ptr + 1, text.len - 1}, &port) && port <= UINT16_MAX;
}

bool authority_valid(struct slice text)
{
	const char *stop;
	size_t host;

	if (text.len == 0)
		return false;
	stop = memchr(text.ptr, text.ptr[0] == '[' ? ']' : ':', text.len);
	if (text.ptr[0] == '[') {
		host = stop ? (size_t)(stop - text.ptr) + 1 : 0;
		if (host < 2 || !ipv6_valid((struct slice){text.ptr + 1, host - 2}))
			return false;
	} else {
		host = stop ? (size_t)(stop - text.ptr) : text.len;
		if (!reg_name_valid((struct slice){text.ptr, host}))
			return false;
	}
	return port_valid((struct slice){text.ptr + host, text.len - host});
}
