/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/sni.h"

#define RANDOM "0123456789abcdef0123456789abcdef"
#define LEAD   "\x03\x03" RANDOM
#define SHORT \
	"\0" \
	"\0\x02\x13\x01" \
	"\x01\0" /* no session, a suite, no compression */
#define GREASE "\x0a\x0a\0\0"
#define ALPN   "\0\x10\0\x05\0\x03\x02h2"
#define SNI \
	"\0\0\0\x10\0\x0e\0\0\x0b" \
	"Example.org"

#define BYTES(literal) literal, sizeof(literal) - 1

/* A ClientHello without its heads. */
struct row {
	const char *name;
	const char *body;
	size_t len;
	enum sni_result result;
	const char *says; /* the name, or the reason */
};

static const struct row rows[] = {
	{"a name alone", BYTES(LEAD SHORT "\0\x14" SNI), SNI_NAME, "example.org"},
	{"a name among others", BYTES(LEAD SHORT "\0\x21" GREASE ALPN SNI), SNI_NAME,
	 "example.org"},
	{"a session and several suites",
	 BYTES(LEAD "\x20" RANDOM "\0\x06\x0a\x0a\x13\x01\x13\x02"
		    "\x01\0"
		    "\0\x14" SNI),
	 SNI_NAME, "example.org"},
	{"no name", BYTES(LEAD SHORT "\0\x0d" GREASE ALPN), SNI_NO_NAME, NULL},
	{"no extension", BYTES(LEAD SHORT "\0\0"), SNI_NO_NAME, NULL},
	{"no extensions at all, as before TLS 1.2", BYTES(LEAD SHORT), SNI_NO_NAME, NULL},
	{"a name of another type", BYTES(LEAD SHORT "\0\x0a\0\0\0\x06\0\x04\x07\0\x01x"),
	 SNI_NO_NAME, NULL},
	{"two server_name extensions", BYTES(LEAD SHORT "\0\x28" SNI SNI), SNI_BAD,
	 "two_server_names"},
	{"two host names", BYTES(LEAD SHORT "\0\x0e\0\0\0\x0a\0\x08\0\0\x01x\0\0\x01y"), SNI_BAD,
	 "bad_server_name"},
	{"an empty list of names", BYTES(LEAD SHORT "\0\x06\0\0\0\x02\0\0"), SNI_BAD,
	 "bad_server_name"},
	{"an empty name", BYTES(LEAD SHORT "\0\x09\0\0\0\x05\0\x03\0\0\0"), SNI_BAD,
	 "bad_server_name"},
	{"a NUL in the name",
	 BYTES(LEAD SHORT "\0\x0c\0\0\0\x08\0\x06\0\0\x03"
			  "a\0b"),
	 SNI_BAD, "bad_server_name"},
	{"a space in the name",
	 BYTES(LEAD SHORT "\0\x0c\0\0\0\x08\0\x06\0\0\x03"
			  "a b"),
	 SNI_BAD, "bad_server_name"},
	{"a dot at the end of the name",
	 BYTES(LEAD SHORT "\0\x0c\0\0\0\x08\0\x06\0\0\x03"
			  "ab."),
	 SNI_BAD, "bad_server_name"},
	{"a name longer than its list",
	 BYTES(LEAD SHORT "\0\x0c\0\0\0\x08\0\x06\0\0\x04"
			  "abc"),
	 SNI_BAD, "bad_server_name"},
	{"an extension longer than all of them", BYTES(LEAD SHORT "\0\x04\x0a\x0a\0\x01"), SNI_BAD,
	 "bad_extensions"},
	{"bytes behind the extensions", BYTES(LEAD SHORT "\0\0X"), SNI_BAD, "bad_extensions"},
	{"a session of 33 bytes",
	 BYTES(LEAD "\x21" RANDOM "!"
		    "\0\x02\x13\x01"
		    "\x01\0"),
	 SNI_BAD, "bad_session_id"},
	{"an odd number of bytes of suites",
	 BYTES(LEAD "\0"
		    "\0\x03\x13\x01\x13"
		    "\x01\0"),
	 SNI_BAD, "bad_client_hello"},
	{"nothing behind the suites",
	 BYTES(LEAD "\0"
		    "\0\x02\x13\x01"),
	 SNI_BAD, "bad_client_hello"},
	{"an empty one", BYTES(""), SNI_BAD, "bad_client_hello"},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The message in records of at most <most> bytes each. */
static size_t wrap(const struct row *row, size_t most, char *out)
{
	char hello[1024];
	size_t len = row->len + 4, used = 0;

	memcpy(hello, (char[]){1, 0, (char)(row->len >> 8), (char)row->len}, 4);
	memcpy(hello + 4, row->body, row->len);
	for (size_t at = 0; at < len;) {
		size_t n = len - at < most ? len - at : most;

		memcpy(out + used, (char[]){22, 3, 1, (char)(n >> 8), (char)n}, 5);
		memcpy(out + used + 5, hello + at, n);
		used += 5 + n;
		at += n;
	}
	return used;
}

/* The first <len> bytes in memory of their own, so that a byte read too far is seen. */
static enum sni_result peek(const char *bytes, size_t len, struct sni *sni)
{
	char *copy = malloc(len ? len : 1);
	enum sni_result result;

	assert_non_null(copy);
	memcpy(copy, bytes, len);
	result = sni_peek((struct slice){copy, len}, sni);
	free(copy);
	return result;
}

static void check(const struct row *row, enum sni_result result, const struct sni *sni)
{
	const char *says = result == SNI_NAME ? sni->name : result == SNI_BAD ? sni->reason : "";

	if (result != row->result || strcmp(says, row->says ? row->says : "") != 0)
		fail_msg("'%s': expected %d '%s', got %d '%s'", row->name, row->result,
			 row->says ? row->says : "", result, says);
}

static void the_name_is_found_or_the_message_refused(void **state)
{
	char bytes[8192];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct sni sni = {0};
		size_t len = wrap(&rows[i], 16384, bytes);

		check(&rows[i], peek(bytes, len, &sni), &sni);
	}
}

/* In records of one byte to sixty, each cut at every byte. */
static void neither_records_nor_cuts_change_the_answer(void **state)
{
	char bytes[8192];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		for (size_t most = 1; most < 61; most += most < 5 ? 1 : 11) {
			size_t total = wrap(&rows[i], most, bytes);

			for (size_t len = 0; len <= total; len++) {
				struct sni sni = {0};
				enum sni_result result = peek(bytes, len, &sni);

				if (result != SNI_MORE || len == total)
					check(&rows[i], result, &sni);
			}
		}
	}
}

static void what_is_no_tls_is_told_from_what_is_broken(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		enum sni_result result;
		const char *reason;
	} starts[] = {
		{BYTES(""), SNI_MORE, NULL},
		{BYTES("GET / HTTP/1.1\r\n"), SNI_NO_TLS, NULL},
		{BYTES("SSH-2.0-x\r\n"), SNI_NO_TLS, NULL},
		{BYTES("\x16"), SNI_MORE, NULL},
		{BYTES("\x16\x02"), SNI_NO_TLS, NULL},
		{BYTES("\x16\x03\x01\0"), SNI_MORE, NULL},
		{BYTES("\x16\x03\x01\0\0"), SNI_BAD, "bad_record_length"},
		{BYTES("\x16\x03\x01\x40\x01"), SNI_BAD, "bad_record_length"},
		{BYTES("\x16\x03\x01\0\x05\x02"), SNI_BAD, "no_client_hello"},
		{BYTES("\x16\x03\x01\x40\0\x01\x01\0\0"), SNI_BAD, "client_hello_too_long"},
		{BYTES("\x16\x03\x01\0\x01\x01\x15"), SNI_BAD, "unexpected_record"},
		{BYTES("\x16\x03\x01\0\x01\x01\x16\x04"), SNI_BAD, "unexpected_version"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(starts); i++) {
		struct sni sni = {0};
		enum sni_result result = peek(starts[i].bytes, starts[i].len, &sni);

		if (result != starts[i].result ||
		    (result == SNI_BAD && strcmp(sni.reason, starts[i].reason) != 0))
			fail_msg("row %zu: expected %d '%s', got %d '%s'", i, starts[i].result,
				 starts[i].reason ? starts[i].reason : "", result,
				 result == SNI_BAD ? sni.reason : "");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_name_is_found_or_the_message_refused),
		cmocka_unit_test(neither_records_nor_cuts_change_the_answer),
		cmocka_unit_test(what_is_no_tls_is_told_from_what_is_broken),
	};

	return cmocka_run_group_tests_name("sni", tests, NULL, NULL);
}
