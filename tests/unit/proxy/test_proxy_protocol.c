/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/proxy_protocol.h"

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define V4_BOTH	  "\x0a\x01\x02\x03\xc0\x00\x02\x09\xdd\xd5\x01\xbb"
#define V6_FROM	  "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"
#define V6_TO	  "\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x02"
#define V6_BOTH	  V6_FROM V6_TO "\xdd\xd5\x01\xbb"
#define TEN	  "0123456789"
#define FIFTY	  TEN TEN TEN TEN TEN
#define HUNDRED	  FIFTY FIFTY
/* Two paths of 108 bytes. */
#define UNIX_BOTH HUNDRED HUNDRED TEN "012345"

#define BYTES(literal) literal, sizeof(literal) - 1

struct row {
	const char *name;
	const char *in;
	size_t len;
	/* An accepted header, of all bytes but <more>: */
	const char *from, *to; /* NULL: the connection's own addresses hold */
	size_t more;	       /* bytes behind it, of the connection itself */
	/* A refused one: */
	const char *reason;
	size_t at;
};

static const struct row rows[] = {
	{"v1, IPv4", BYTES("PROXY TCP4 10.1.2.3 192.0.2.9 56789 443\r\n"), "10.1.2.3:56789",
	 "192.0.2.9:443", 0, NULL, 0},
	{"v1, the bytes of the connection follow",
	 BYTES("PROXY TCP4 10.1.2.3 192.0.2.9 56789 443\r\nGET /"), "10.1.2.3:56789",
	 "192.0.2.9:443", 5, NULL, 0},
	{"v1, port 65535", BYTES("PROXY TCP4 10.1.2.3 192.0.2.9 65535 1\r\n"), "10.1.2.3:65535",
	 "192.0.2.9:1", 0, NULL, 0},
	{"v1, IPv6", BYTES("PROXY TCP6 2001:db8::1 fd00::2 56789 443\r\n"), "[2001:db8::1]:56789",
	 "[fd00::2]:443", 0, NULL, 0},
	{"v1, IPv6 written out in capitals",
	 BYTES("PROXY TCP6 2001:0DB8:0000:0000:0000:0000:0000:0001 fd00::2 56789 443\r\n"),
	 "[2001:db8::1]:56789", "[fd00::2]:443", 0, NULL, 0},
	{"v1, mapped IPv4 as nginx writes it",
	 BYTES("PROXY TCP6 ::ffff:10.1.2.3 ::ffff:192.0.2.9 56789 443\r\n"), "10.1.2.3:56789",
	 "192.0.2.9:443", 0, NULL, 0},
	{"v1, unknown", BYTES("PROXY UNKNOWN\r\n"), NULL, NULL, 0, NULL, 0},
	{"v1, unknown with more", BYTES("PROXY UNKNOWN ::1 whatever  1 2 3\r\nX"), NULL, NULL, 1,
	 NULL, 0},
	{"v1, the longest line", BYTES("PROXY UNKNOWN " FIFTY TEN TEN TEN TEN "0\r\n"), NULL, NULL,
	 0, NULL, 0},
	{"v1, one byte longer", BYTES("PROXY UNKNOWN " FIFTY TEN TEN TEN TEN "01\r\n"), NULL, NULL,
	 0, "line_too_long", 106},
	{"v1 without an end", BYTES("PROXY UNKNOWN " HUNDRED), NULL, NULL, 0, "line_too_long", 106},
	{"an HTTP request", BYTES("GET / HTTP/1.1\r\n"), NULL, NULL, 0, "no_header", 0},
	{"a POST request", BYTES("POST / HTTP/1.1\r\n"), NULL, NULL, 0, "no_header", 1},
	{"a PROXY without a space", BYTES("PROXY\r\n"), NULL, NULL, 0, "no_header", 5},
	{"v1 in small letters", BYTES("proxy TCP4 10.1.2.3 192.0.2.9 56789 443\r\n"), NULL, NULL, 0,
	 "no_header", 0},
	{"a TLS ClientHello", BYTES("\x16\x03\x01\x00\xf0"), NULL, NULL, 0, "no_header", 0},
	{"v1, bare LF", BYTES("PROXY UNKNOWN\n"), NULL, NULL, 0, "bare_lf", 13},
	{"v1, bare CR", BYTES("PROXY UNKNOWN\rX\r\n"), NULL, NULL, 0, "bare_cr", 13},
	{"v1, two spaces", BYTES("PROXY  TCP4 10.1.2.3 192.0.2.9 1 2\r\n"), NULL, NULL, 0,
	 "unknown_family", 6},
	{"v1, nothing but PROXY", BYTES("PROXY \r\n"), NULL, NULL, 0, "unknown_family", 6},
	{"v1, UDP", BYTES("PROXY UDP4 10.1.2.3 192.0.2.9 1 2\r\n"), NULL, NULL, 0, "unknown_family",
	 6},
	{"v1, a longer UNKNOWN", BYTES("PROXY UNKNOWNS\r\n"), NULL, NULL, 0, "unknown_family", 6},
	{"v1, no addresses", BYTES("PROXY TCP4\r\n"), NULL, NULL, 0, "bad_address", 10},
	{"v1, two spaces before an address", BYTES("PROXY TCP4  10.1.2.3 192.0.2.9 1 2\r\n"), NULL,
	 NULL, 0, "bad_address", 11},
	{"v1, IPv6 in TCP4", BYTES("PROXY TCP4 ::1 192.0.2.9 1 2\r\n"), NULL, NULL, 0,
	 "bad_address", 11},
	{"v1, IPv4 in TCP6", BYTES("PROXY TCP6 ::1 192.0.2.9 1 2\r\n"), NULL, NULL, 0,
	 "bad_address", 15},
	{"v1, a leading zero in an address", BYTES("PROXY TCP4 10.1.2.03 192.0.2.9 1 2\r\n"), NULL,
	 NULL, 0, "bad_address", 11},
	{"v1, an address of three numbers", BYTES("PROXY TCP4 10.1.2 192.0.2.9 1 2\r\n"), NULL,
	 NULL, 0, "bad_address", 11},
	{"v1, a NUL in an address", BYTES("PROXY TCP4 10.1.2.3\0 192.0.2.9 1 2\r\n"), NULL, NULL, 0,
	 "bad_address", 11},
	{"v1, a tab", BYTES("PROXY TCP4 10.1.2.3\t192.0.2.9 1 2\r\n"), NULL, NULL, 0, "bad_address",
	 11},
	{"v1, brackets", BYTES("PROXY TCP6 [::1] ::1 1 2\r\n"), NULL, NULL, 0, "bad_address", 11},
	{"v1, a leading zero in a port", BYTES("PROXY TCP4 10.1.2.3 192.0.2.9 01 2\r\n"), NULL,
	 NULL, 0, "bad_port", 30},
	{"v1, a port too large", BYTES("PROXY TCP4 10.1.2.3 192.0.2.9 1 65536\r\n"), NULL, NULL, 0,
	 "bad_port", 32},
	{"v1, a signed port", BYTES("PROXY TCP4 10.1.2.3 192.0.2.9 +1 2\r\n"), NULL, NULL, 0,
	 "bad_port", 30},
	{"v1, one port", BYTES("PROXY TCP4 10.1.2.3 192.0.2.9 1\r\n"), NULL, NULL, 0, "bad_port",
	 31},
	{"v1, a space at the end", BYTES("PROXY TCP4 10.1.2.3 192.0.2.9 1 2 \r\n"), NULL, NULL, 0,
	 "bytes_after_port", 34},
	{"v1, a fifth word", BYTES("PROXY TCP4 10.1.2.3 192.0.2.9 1 2 3\r\n"), NULL, NULL, 0,
	 "bytes_after_port", 34},

	{"v2, IPv4", BYTES(SIGNATURE "\x21\x11\0\x0c" V4_BOTH), "10.1.2.3:56789", "192.0.2.9:443",
	 0, NULL, 0},
	{"v2, the bytes of the connection follow",
	 BYTES(SIGNATURE "\x21\x11\0\x0c" V4_BOTH "\x16\x03\x01"), "10.1.2.3:56789",
	 "192.0.2.9:443", 3, NULL, 0},
	{"v2, IPv6", BYTES(SIGNATURE "\x21\x21\0\x24" V6_BOTH), "[2001:db8::1]:56789",
	 "[fd00::2]:443", 0, NULL, 0},
	{"v2, TLVs are skipped",
	 BYTES(SIGNATURE "\x21\x11\0\x19" V4_BOTH "\x01\0\x02h2\x04\0\0\xea\0\x02\x01\x02"),
	 "10.1.2.3:56789", "192.0.2.9:443", 0, NULL, 0},
	{"v2, a right checksum",
	 BYTES(SIGNATURE "\x21\x11\0\x13" V4_BOTH "\x03\0\x04\x9a\x2f\x7e\x87"), "10.1.2.3:56789",
	 "192.0.2.9:443", 0, NULL, 0},
	{"v2, a wrong checksum",
	 BYTES(SIGNATURE "\x21\x11\0\x13" V4_BOTH "\x03\0\x04\x9a\x2f\x7e\x86"), NULL, NULL, 0,
	 "bad_checksum", 28},
	{"v2, a checksum of three bytes",
	 BYTES(SIGNATURE "\x21\x11\0\x12" V4_BOTH "\x03\0\x03\x9a\x2f\x7e"), NULL, NULL, 0,
	 "bad_checksum", 28},
	{"v2, the sender's own check", BYTES(SIGNATURE "\x20\0\0\0"), NULL, NULL, 0, NULL, 0},
	{"v2, LOCAL with addresses that count for nothing",
	 BYTES(SIGNATURE "\x20\x11\0\x0c" V4_BOTH "Y"), NULL, NULL, 1, NULL, 0},
	{"v2, LOCAL of a family nobody knows",
	 BYTES(SIGNATURE "\x20\xff\0\x03"
			 "abc"),
	 NULL, NULL, 0, NULL, 0},
	{"v2, unspecified", BYTES(SIGNATURE "\x21\0\0\0"), NULL, NULL, 0, NULL, 0},
	{"v2, unspecified with a TLV", BYTES(SIGNATURE "\x21\0\0\x04\xea\0\x01X"), NULL, NULL, 0,
	 NULL, 0},
	{"v2, a Unix client has no address", BYTES(SIGNATURE "\x21\x31\0\xd8" UNIX_BOTH), NULL,
	 NULL, 0, NULL, 0},
	{"v2, datagrams are not a stream", BYTES(SIGNATURE "\x21\x12\0\x0c" V4_BOTH), NULL, NULL, 0,
	 "datagram", 13},
	{"v2, version 1", BYTES(SIGNATURE "\x11\x11\0\x0c" V4_BOTH), NULL, NULL, 0,
	 "unknown_version", 12},
	{"v2, version 3", BYTES(SIGNATURE "\x31\x11\0\x0c" V4_BOTH), NULL, NULL, 0,
	 "unknown_version", 12},
	{"v2, a third command", BYTES(SIGNATURE "\x22\x11\0\x0c" V4_BOTH), NULL, NULL, 0,
	 "unknown_command", 12},
	{"v2, a family nobody knows", BYTES(SIGNATURE "\x21\x41\0\x0c" V4_BOTH), NULL, NULL, 0,
	 "unknown_family", 13},
	{"v2, a transport nobody knows", BYTES(SIGNATURE "\x21\x13\0\x0c" V4_BOTH), NULL, NULL, 0,
	 "unknown_family", 13},
	{"v2, IPv4 over nothing", BYTES(SIGNATURE "\x21\x10\0\x0c" V4_BOTH), NULL, NULL, 0,
	 "unknown_family", 13},
	{"v2, too short for IPv4", BYTES(SIGNATURE "\x21\x11\0\x0b" V4_BOTH), NULL, NULL, 0,
	 "too_short_for_family", 14},
	{"v2, too short for IPv6", BYTES(SIGNATURE "\x21\x21\0\x0c" V4_BOTH), NULL, NULL, 0,
	 "too_short_for_family", 14},
	{"v2, longer than any", BYTES(SIGNATURE "\x21\x11\x0f\xf1" V4_BOTH), NULL, NULL, 0,
	 "too_long", 14},
	{"v2, half a TLV", BYTES(SIGNATURE "\x21\x11\0\x0e" V4_BOTH "\x04\0"), NULL, NULL, 0,
	 "tlv_truncated", 28},
	{"v2, a TLV longer than the header",
	 BYTES(SIGNATURE "\x21\x11\0\x10" V4_BOTH "\x04\0\x02X"), NULL, NULL, 0, "tlv_too_long",
	 29},
	{"v2, a broken signature", BYTES("\r\n\r\n\0\r\nQUIT\r"), NULL, NULL, 0, "no_header", 11},
	{"an empty line first", BYTES("\r\n\r\nPROXY UNKNOWN\r\n"), NULL, NULL, 0, "no_header", 4},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct addr addr(const char *text)
{
	struct addr addr = {0};
	const char *why = text ? addr_parse(slice_of(text), true, &addr) : NULL;

	if (why)
		fail_msg("'%s': %s", text, why);
	return addr;
}

/* The first <len> bytes in memory of their own, so that a byte read too far is seen. */
static ssize_t parse(const struct row *row, size_t len, struct proxied *proxied,
		     struct proxied_refusal *refusal)
{
	char *copy = malloc(len ? len : 1);
	ssize_t n;

	assert_non_null(copy);
	memcpy(copy, row->in, len);
	n = proxy_protocol_parse((struct slice){copy, len}, proxied, refusal);
	free(copy);
	return n;
}

static void check_accepted(const struct row *row, ssize_t n, const struct proxied *got)
{
	struct addr from = addr(row->from), to = addr(row->to);

	if (n != (ssize_t)(row->len - row->more))
		fail_msg("'%s': expected %zu bytes used, got %zd", row->name, row->len - row->more,
			 n);
	if (got->known != !!row->from)
		fail_msg("'%s': expected known %d, got %d", row->name, !!row->from, got->known);
	if (!addr_equal(&got->from, &from) || !addr_equal(&got->to, &to)) {
		char a[ADDR_TEXT_LEN], b[ADDR_TEXT_LEN];

		fail_msg("'%s': expected %s to %s, got %s to %s", row->name, row->from, row->to,
			 addr_format(&got->from, a), addr_format(&got->to, b));
	}
}

static void check_refused(const struct row *row, ssize_t n, const struct proxied_refusal *got)
{
	if (n != -EBADMSG)
		fail_msg("'%s': expected a refusal, got %zd", row->name, n);
	if (strcmp(got->reason, row->reason) != 0 || got->at != row->at)
		fail_msg("'%s': expected %s at %zu, got %s at %zu", row->name, row->reason, row->at,
			 got->reason, got->at);
}

static void every_header_is_taken_or_refused_as_the_table_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct row *row = &rows[i];
		struct proxied_refusal refusal = {0};
		struct proxied proxied = {0};
		ssize_t n = parse(row, row->len, &proxied, &refusal);

		if (row->reason)
			check_refused(row, n, &refusal);
		else
			check_accepted(row, n, &proxied);
	}
}

/* A prefix asks for more or already gives the answer of the whole. */
static void where_the_bytes_are_split_changes_nothing(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct row *row = &rows[i];

		for (size_t len = 0; len < row->len; len++) {
			struct proxied_refusal refusal = {0};
			struct proxied proxied = {0};
			ssize_t n = parse(row, len, &proxied, &refusal);

			if (n == 0 && (row->reason || len < row->len - row->more))
				continue;
			if (row->reason)
				check_refused(row, n, &refusal);
			else
				check_accepted(row, n, &proxied);
		}
	}
}

static void a_wrong_byte_is_refused_when_it_has_come(void **state)
{
	static const struct row row = {"an HTTP request", BYTES("G"), NULL, NULL, 0,
				       "no_header",	  0};
	static const struct row command = {
		"a third command", BYTES(SIGNATURE "\x22"), NULL, NULL, 0, "unknown_command", 12};
	struct proxied_refusal refusal = {0};
	struct proxied proxied;

	(void)state;
	check_refused(&row, parse(&row, 1, &proxied, &refusal), &refusal);
	check_refused(&command, parse(&command, command.len, &proxied, &refusal), &refusal);
}

/* The longest header of version 2, to its last byte. */
static void a_header_of_4096_bytes_is_the_longest(void **state)
{
	static char text[PROXY_PROTOCOL_MAX] = SIGNATURE "\x21\x11\x0f\xf0" V4_BOTH;
	size_t tlv = 16 + 12, len = PROXY_PROTOCOL_MAX - tlv - 3;
	struct row row = {"4096 bytes",	   text, sizeof(text), "10.1.2.3:56789",
			  "192.0.2.9:443", 0,	 NULL,	       0};
	struct proxied_refusal refusal = {0};
	struct proxied proxied = {0};

	(void)state;
	text[tlv] = '\x04';
	text[tlv + 1] = (char)(len >> 8);
	text[tlv + 2] = (char)len;
	assert_int_equal(parse(&row, row.len - 1, &proxied, &refusal), 0);
	check_accepted(&row, parse(&row, row.len, &proxied, &refusal), &proxied);
}

struct written {
	const char *name;
	unsigned version;
	const char *from, *to;
	const char *out;
	size_t len;
};

static const struct written written[] = {
	{"v1, IPv4", 1, "10.1.2.3:56789", "192.0.2.9:443",
	 BYTES("PROXY TCP4 10.1.2.3 192.0.2.9 56789 443\r\n")},
	{"v1, IPv6", 1, "[2001:db8::1]:56789", "[fd00::2]:443",
	 BYTES("PROXY TCP6 2001:db8::1 fd00::2 56789 443\r\n")},
	{"v1, two families are written as IPv6", 1, "10.1.2.3:56789", "[fd00::2]:443",
	 BYTES("PROXY TCP6 ::ffff:a01:203 fd00::2 56789 443\r\n")},
	{"v1, the longest", 1, "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
	 "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe]:65535",
	 BYTES("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
	       "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe 65535 65535\r\n")},
	{"v2, IPv4", 2, "10.1.2.3:56789", "192.0.2.9:443",
	 BYTES(SIGNATURE "\x21\x11\0\x0c" V4_BOTH)},
	{"v2, IPv6", 2, "[2001:db8::1]:56789", "[fd00::2]:443",
	 BYTES(SIGNATURE "\x21\x21\0\x24" V6_BOTH)},
	{"v2, two families are written as IPv6", 2, "[2001:db8::1]:56789", "192.0.2.9:443",
	 BYTES(SIGNATURE "\x21\x21\0\x24" V6_FROM
			 "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\x02\x09\xdd\xd5\x01\xbb")},
};

static void what_is_written_is_right_to_the_byte_and_read_back(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(written); i++) {
		const struct written *row = &written[i];
		struct addr from = addr(row->from), to = addr(row->to);
		struct row back = {row->name, row->out, row->len, row->from, row->to, 0, NULL, 0};
		struct proxied_refusal refusal = {0};
		struct proxied proxied = {0};
		char out[PROXY_PROTOCOL_ROOM];
		size_t len = proxy_protocol_write(row->version, &from, &to, out);

		if (len != row->len || memcmp(out, row->out, len) != 0)
			fail_msg("'%s': expected %zu bytes '%s', got %zu bytes '%.*s'", row->name,
				 row->len, row->out, len, (int)len, out);
		check_accepted(&back, parse(&back, back.len, &proxied, &refusal), &proxied);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_header_is_taken_or_refused_as_the_table_says),
		cmocka_unit_test(where_the_bytes_are_split_changes_nothing),
		cmocka_unit_test(a_wrong_byte_is_refused_when_it_has_come),
		cmocka_unit_test(a_header_of_4096_bytes_is_the_longest),
		cmocka_unit_test(what_is_written_is_right_to_the_byte_and_read_back),
	};

	return cmocka_run_group_tests_name("proxy_protocol", tests, NULL, NULL);
}
