/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Every row is parsed whole and cut at every byte, each time against a guard page. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "guard.h"
#include "http/message.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct row {
	const char *name;
	struct slice in;
	const char *reason; /* NULL: accepted */
	enum http_method method;
	unsigned status;
	enum http_framing framing;
	uint64_t length;
	bool close;
	bool upgrade;
};

#define OK(fields) SLICE("HTTP/1.1 200 OK\r\n" fields "\r\n")
#define REFUSE(what, text, word) \
	{ \
		.name = (what), .in = text, .reason = (word), .method = HTTP_GET \
	}
#define ACCEPT(what, asked, text, code, body, ...) \
	{ \
		.name = (what), .in = text, .method = (asked), .status = (code), \
		.framing = (body), __VA_ARGS__ \
	}

static const struct row rows[] = {
	REFUSE("length and chunked", OK("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n"),
	       "length_and_transfer_encoding"),
	REFUSE("two lengths", OK("Content-Length: 3\r\nContent-Length: 3\r\n"),
	       "duplicate_content_length"),
	REFUSE("a list of lengths", OK("Content-Length: 3, 3\r\n"), "bad_content_length"),
	REFUSE("a length of 2^64 + 2", OK("Content-Length: 18446744073709551618\r\n"),
	       "bad_content_length"),
	REFUSE("an empty length", OK("Content-Length:\r\n"), "bad_content_length"),
	REFUSE("an unknown coding", OK("Transfer-Encoding: gzip, chunked\r\n"),
	       "unknown_transfer_encoding"),
	REFUSE("chunked twice", OK("Transfer-Encoding: chunked, chunked\r\n"),
	       "bad_transfer_encoding"),
	REFUSE("chunked in HTTP/1.0",
	       SLICE("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
	       "transfer_encoding_in_1_0"),
	REFUSE("a NUL in a value", OK("X: a\0b\r\n"), "bad_header_value"),
	REFUSE("a bare LF", SLICE("HTTP/1.1 200 OK\nX: a\r\n\r\n"), "bad_status_line"),
	REFUSE("a bare CR in the reason", SLICE("HTTP/1.1 200 O\rK\r\n\r\n"), "bad_status_line"),
	REFUSE("a folded line", OK("X: a\r\n b\r\n"), "folded_line"),
	REFUSE("a space before the colon", OK("X : a\r\n"), "space_before_colon"),
	REFUSE("an empty name", OK(": a\r\n"), "bad_header_name"),
	REFUSE("an empty line before", SLICE("\r\nHTTP/1.1 200 OK\r\n\r\n"), "bad_version"),
	REFUSE("no HTTP", SLICE("SSH-2.0-OpenSSH_9.2\r\n"), "bad_version"),
	REFUSE("ICY", SLICE("ICY 200 OK\r\n\r\n"), "bad_version"),
	REFUSE("HTTP/2.0", SLICE("HTTP/2.0 200 OK\r\n\r\n"), "version_not_supported"),
	REFUSE("two digits of status", SLICE("HTTP/1.1 20 OK\r\n\r\n"), "bad_status"),
	REFUSE("four digits of status", SLICE("HTTP/1.1 2000 OK\r\n\r\n"), "bad_status_line"),
	REFUSE("a status below 100", SLICE("HTTP/1.1 099 X\r\n\r\n"), "bad_status"),
	REFUSE("a status above 599", SLICE("HTTP/1.1 600 X\r\n\r\n"), "bad_status"),
	REFUSE("two spaces before the status", SLICE("HTTP/1.1  200 OK\r\n\r\n"), "bad_status"),
	REFUSE("no status", SLICE("HTTP/1.1\r\n\r\n"), "bad_status"),
	REFUSE("a bad Connection", OK("Connection: a b\r\n"), "bad_connection"),

	ACCEPT("a length", HTTP_GET, OK("Content-Length: 3\r\n"), 200, HTTP_BODY_LENGTH,
	       .length = 3),
	ACCEPT("bytes of the body stay", HTTP_GET,
	       SLICE("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"), 200, HTTP_BODY_LENGTH,
	       .length = 3),
	ACCEPT("chunked", HTTP_POST, OK("Transfer-Encoding: chunked\r\n"), 200, HTTP_BODY_CHUNKED),
	ACCEPT("until close", HTTP_GET, OK(""), 200, HTTP_BODY_UNTIL_CLOSE, .close = true),
	ACCEPT("HTTP/1.0 with keep-alive and length", HTTP_GET,
	       SLICE("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n"), 200,
	       HTTP_BODY_LENGTH),
	ACCEPT("HTTP/1.0 closes", HTTP_GET, SLICE("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n"),
	       200, HTTP_BODY_LENGTH, .length = 1, .close = true),
	ACCEPT("close", HTTP_GET, OK("Connection: close\r\nContent-Length: 1\r\n"), 200,
	       HTTP_BODY_LENGTH, .length = 1, .close = true),
	ACCEPT("HEAD has no body", HTTP_HEAD, OK("Content-Length: 3\r\n"), 200, HTTP_BODY_NONE,
	       .length = 3),
	ACCEPT("HEAD without a length stays open", HTTP_HEAD, OK(""), 200, HTTP_BODY_NONE),
	ACCEPT("HEAD with chunked has no body", HTTP_HEAD, OK("Transfer-Encoding: chunked\r\n"),
	       200, HTTP_BODY_NONE),
	ACCEPT("204 has no body", HTTP_GET,
	       SLICE("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"), 204, HTTP_BODY_NONE),
	ACCEPT("204 with a length may have a body after all", HTTP_GET,
	       SLICE("HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\n"), 204, HTTP_BODY_NONE,
	       .length = 3, .close = true),
	ACCEPT("204 with chunked may have a body after all", HTTP_GET,
	       SLICE("HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n"), 204,
	       HTTP_BODY_NONE, .close = true),
	ACCEPT("304 has no body", HTTP_GET,
	       SLICE("HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n"), 304, HTTP_BODY_NONE,
	       .length = 3),
	ACCEPT("100 comes alone", HTTP_POST,
	       SLICE("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"), 100, HTTP_BODY_NONE),
	ACCEPT("103 has no body", HTTP_GET, SLICE("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"),
	       103, HTTP_BODY_NONE),
	ACCEPT("101 upgrades", HTTP_GET,
	       SLICE("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n"
		     "Upgrade: websocket\r\n\r\n"),
	       101, HTTP_BODY_NONE, .upgrade = true),
	ACCEPT("an empty reason", HTTP_GET, SLICE("HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n"),
	       200, HTTP_BODY_LENGTH),
	ACCEPT("no reason and no space", HTTP_GET,
	       SLICE("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n"), 200, HTTP_BODY_LENGTH),
	ACCEPT("an 8-bit reason", HTTP_GET,
	       SLICE("HTTP/1.1 200 \xc3\xa4\tb\r\nContent-Length: 0\r\n\r\n"), 200,
	       HTTP_BODY_LENGTH),
};

static void assert_refusal(const struct row *row, ssize_t got, const struct http_refusal *refusal)
{
	assert_int_equal(got, -EBADMSG);
	assert_string_equal(refusal->reason, row->reason);
	assert_int_equal(refusal->status, 502);
	assert_in_range(refusal->offset, 0, row->in.len);
}

static void test_row(void **state)
{
	const struct row *row = *state;
	struct http_refusal refusal = {0};
	struct http_head head;
	bool refused = false;
	ssize_t whole, got;

	whole = http_parse_response(guard_copy(row->in), row->method, &head, &refusal);
	if (row->reason) {
		assert_refusal(row, whole, &refusal);
	} else {
		if (whole < 0)
			fail_msg("refused: %s", refusal.reason);
		assert_int_equal(head.status, row->status);
		assert_int_equal(head.framing, row->framing);
		assert_int_equal(head.content_length, row->length);
		assert_int_equal(head.keep_alive, !row->close);
		assert_int_equal(head.upgrade, row->upgrade);
	}
	for (size_t len = 0; len < row->in.len; len++) {
		got = http_parse_response(guard_copy((struct slice){row->in.ptr, len}), row->method,
					  &head, &refusal);
		refused = refused || got < 0;
		if (refused)
			assert_refusal(row, got, &refusal);
		else
			assert_int_equal(got, whole > 0 && len >= (size_t)whole ? whole : 0);
	}
}

int main(void)
{
	static struct CMUnitTest tests[COUNT(rows)];

	for (size_t i = 0; i < COUNT(rows); i++)
		tests[i] =
			(struct CMUnitTest){rows[i].name, test_row, NULL, NULL, (void *)&rows[i]};
	return cmocka_run_group_tests_name("responses", tests, NULL, NULL);
}
