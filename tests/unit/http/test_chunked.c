/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Every row is read whole, byte by byte, and in two pieces cut at every byte. */
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
	struct slice data;
	const char *reason;   /* NULL: accepted */
	size_t left;	      /* bytes behind the body */
	bool open;	      /* not done at the end of the input */
	const char *trailers; /* "name=value;" each, '!' before what may not be passed on */
};

#define REFUSE(what, text, word) \
	{ \
		.name = (what), .in = SLICE(text), .reason = (word) \
	}
#define ACCEPT(what, text, body) \
	{ \
		.name = (what), .in = SLICE(text), .data = SLICE(body) \
	}

static const struct row rows[] = {
	ACCEPT("no data", "0\r\n\r\n", ""),
	ACCEPT("two chunks", "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", "abcde"),
	ACCEPT("sizes in hexadecimal of any case",
	       "a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789"),
	ACCEPT("leading zeros", "0003\r\nabc\r\n000\r\n\r\n", "abc"),
	ACCEPT("data that looks like framing", "7\r\n0\r\n\r\n\r\n\r\n0\r\n\r\n", "0\r\n\r\n\r\n"),
	ACCEPT("an extension", "3;a=b\r\nabc\r\n0;x\r\n\r\n", "abc"),
	ACCEPT("extensions with white space", "3 ; a\t= b ;c\r\nabc\r\n0\r\n\r\n", "abc"),
	ACCEPT("an extension in quotes", "3;a=\"b;\\\"\\\\\xff c\";d=\"\"\r\nabc\r\n0\r\n\r\n",
	       "abc"),
	{.name = "trailers are given, in order, without white space around values",
	 .in = SLICE("3\r\nabc\r\n0;x\r\nX: \"\\ y \r\nZ:\r\nx:\tb\xff c\r\n\r\n"),
	 .data = SLICE("abc"),
	 .trailers = "X=\"\\ y;Z=;x=b\xff c;"},
	{.name = "trailers that frame, route or authenticate are not for others",
	 .in = SLICE("0\r\ncontent-LENGTH: 9\r\nTransfer-Encoding: chunked\r\nHost: b\r\n"
		     "AUTHORIZATION: x\r\nX: 1\r\nConnection: X\r\nIf-Match: x\r\n\r\n"),
	 .trailers = "!content-LENGTH=9;!Transfer-Encoding=chunked;!Host=b;!AUTHORIZATION=x;"
		     "X=1;!Connection=X;!If-Match=x;"},
	{.name = "bytes behind trailers stay",
	 .in = SLICE("0\r\nA: b\r\n\r\nC: d\r\n"),
	 .trailers = "A=b;",
	 .left = 6},
	{.name = "half a trailer is not done",
	 .in = SLICE("0\r\nA: b\r\nC: d\r"),
	 .trailers = "A=b;",
	 .open = true},
	{.name = "bytes behind the body stay",
	 .in = SLICE("1\r\na\r\n0\r\n\r\nGET"),
	 .data = SLICE("a"),
	 .left = 3},
	{.name = "a body without its end is not done",
	 .in = SLICE("3\r\nabc\r\n0\r\n"),
	 .data = SLICE("abc"),
	 .open = true},
	{.name = "a chunk without its end is not done",
	 .in = SLICE("7fffffffffffffff\r\nabc"),
	 .data = SLICE("abc"),
	 .open = true},
	REFUSE("an empty size", "\r\nabc\r\n", "bad_chunk_size"),
	REFUSE("a size with 0x", "0x2\r\nab\r\n0\r\n\r\n", "bad_chunk_size"),
	REFUSE("a size with plus", "+2\r\nab\r\n0\r\n\r\n", "bad_chunk_size"),
	REFUSE("a size with minus", "-1\r\n", "bad_chunk_size"),
	REFUSE("a size with an underscore", "1_0\r\n", "bad_chunk_size"),
	REFUSE("a size that is no number", "g\r\n", "bad_chunk_size"),
	REFUSE("17 digits", "00000000000000002\r\nab\r\n", "chunk_too_large"),
	REFUSE("17 digits of value", "fffffffffffffffff\r\n", "chunk_too_large"),
	REFUSE("a size of 2^63", "8000000000000000\r\n", "chunk_too_large"),
	REFUSE("a space before the size", " 2\r\nab\r\n0\r\n\r\n", "bad_chunk_size"),
	REFUSE("a space after the size", "2 \r\nab\r\n0\r\n\r\n", "bad_chunk_extension"),
	REFUSE("a size that ends in LF", "2\nab\r\n0\r\n\r\n", "bad_chunk_size"),
	REFUSE("a size that ends in CR", "2\rab\r\n0\r\n\r\n", "bad_chunk_extension"),
	REFUSE("an extension that ends in LF", "2;a\nab\r\n0\r\n\r\n", "bad_chunk_extension"),
	REFUSE("a bare CR in an extension", "2;a\rb\r\nab\r\n0\r\n\r\n", "bad_chunk_extension"),
	REFUSE("a LF in quotes", "2;a=\"\n\"\r\nab\r\n0\r\n\r\n", "bad_chunk_extension"),
	REFUSE("a CRLF in quotes", "2;a=\"\r\n\"\r\nab\r\n0\r\n\r\n", "bad_chunk_extension"),
	REFUSE("a control in an extension", "2;a\x01\r\nab\r\n0\r\n\r\n", "bad_chunk_extension"),
	REFUSE("an extension without a name", "2;\r\nab\r\n0\r\n\r\n", "bad_chunk_extension"),
	REFUSE("an extension with an empty value", "2;a=\r\nab\r\n0\r\n\r\n",
	       "bad_chunk_extension"),
	REFUSE("a space behind an extension", "2;a \r\nab\r\n0\r\n\r\n", "bad_chunk_extension"),
	REFUSE("text behind quotes", "2;a=\"b\"c\r\nab\r\n0\r\n\r\n", "bad_chunk_extension"),
	REFUSE("data longer than its size", "2\r\nabc\r\n0\r\n\r\n", "bad_chunk_end"),
	REFUSE("data that ends in LF", "2\r\nab\n0\r\n\r\n", "bad_chunk_end"),
	REFUSE("data that ends in CR", "2\r\nab\r0\r\n\r\n", "bad_chunk_end"),
	REFUSE("a final line that ends in LF", "0\r\n\n", "bad_trailer"),
	REFUSE("a final size that ends in LF", "0\n\r\n", "bad_chunk_size"),
	REFUSE("a trailer without a colon", "0\r\nabc\r\n\r\n", "bad_trailer"),
	REFUSE("a trailer without a name", "0\r\n: a\r\n\r\n", "bad_trailer"),
	REFUSE("a folded trailer", "0\r\na: b\r\n c\r\n\r\n", "bad_trailer"),
	REFUSE("a space before a trailer's colon", "0\r\na : b\r\n\r\n", "bad_trailer"),
	REFUSE("a trailer that ends in LF", "0\r\na: b\n\r\n", "bad_trailer"),
	REFUSE("a NUL in a trailer", "0\r\na: \0\r\n\r\n", "bad_trailer"),
};

struct sink {
	struct http_chunked chunked;
	struct http_refusal refusal;
	char data[128];
	size_t n_data;
	char trailers[256];
	size_t consumed;
	bool refused;
};

static void took_trailer(struct sink *sink, const struct http_header *field)
{
	size_t len = strlen(sink->trailers);

	if (field->name.len == 0)
		return;
	(void)snprintf(sink->trailers + len, sizeof(sink->trailers) - len, "%s%.*s=%.*s;",
		       field->hop ? "!" : "", SLICE_ARG(field->name), SLICE_ARG(field->value));
}

static void took_data(struct sink *sink, struct slice in, ssize_t n, struct slice data)
{
	assert_true(data.ptr >= in.ptr && data.ptr + data.len <= in.ptr + n);
	assert_true(sink->n_data + data.len <= sizeof(sink->data));
	if (data.len > 0)
		memcpy(sink->data + sink->n_data, data.ptr, data.len);
	sink->n_data += data.len;
}

static ssize_t read_part(struct sink *sink, struct slice in)
{
	struct http_header field;
	struct slice data;
	ssize_t n;

	if (sink->chunked.trailers && sink->chunked.keep_trailers) {
		n = http_trailer_read(&sink->chunked, in, &field, &sink->refusal);
		if (n > 0)
			took_trailer(sink, &field);
		return n;
	}
	n = http_chunked_read(&sink->chunked, in, &data, &sink->refusal);
	if (n > 0)
		took_data(sink, in, n, data);
	return n;
}

/* Feeds <text> up to <end>, from where the last call came to. */
static void feed(struct sink *sink, struct slice text, size_t end)
{
	struct slice in =
		guard_copy((struct slice){text.ptr + sink->consumed, end - sink->consumed});

	while (!sink->refused && !sink->chunked.done && in.len > 0) {
		ssize_t n = read_part(sink, in);

		if (n == 0)
			return;
		if (n < 0) {
			assert_int_equal(n, -EBADMSG);
			assert_true(sink->refusal.offset < in.len);
			sink->refused = true;
			sink->consumed += sink->refusal.offset;
			return;
		}
		assert_in_range(n, 1, in.len);
		sink->consumed += (size_t)n;
		in = (struct slice){in.ptr + n, in.len - (size_t)n};
	}
}

static void assert_sink(const struct sink *sink, const struct row *row)
{
	assert_int_equal(sink->refused, row->reason != NULL);
	if (row->reason) {
		assert_string_equal(sink->refusal.reason, row->reason);
		assert_int_equal(sink->refusal.status, 400);
		return;
	}
	assert_int_equal(sink->n_data, row->data.len);
	assert_memory_equal(sink->data, row->data.ptr, row->data.len);
	assert_int_equal(sink->chunked.done, !row->open);
	if (!row->open)
		assert_int_equal(sink->consumed, row->in.len - row->left);
	assert_string_equal(sink->trailers,
			    row->trailers && sink->chunked.keep_trailers ? row->trailers : "");
}

static struct sink sink_new(bool keep)
{
	struct sink sink = {0};

	http_chunked_init(&sink.chunked);
	sink.chunked.keep_trailers = keep;
	return sink;
}

static void read_in_every_cut(const struct row *row, bool keep)
{
	struct sink whole = sink_new(keep), sink;

	feed(&whole, row->in, row->in.len);
	for (size_t cut = 0; cut <= row->in.len; cut++) {
		sink = sink_new(keep);
		feed(&sink, row->in, cut);
		if (!sink.refused)
			feed(&sink, row->in, row->in.len);
		assert_sink(&sink, row);
		assert_int_equal(sink.consumed, whole.consumed); /* or where it was refused */
	}
	sink = sink_new(keep);
	for (size_t i = 1; i <= row->in.len && !sink.refused; i++)
		feed(&sink, row->in, i);
	assert_sink(&sink, row);
	assert_int_equal(sink.consumed, whole.consumed);
}

static void test_row(void **state)
{
	read_in_every_cut(*state, true);
	read_in_every_cut(*state, false);
}

struct limit {
	const char *name;
	const char *repeat; /* after <begin>, until <count> were fed */
	const char *begin;
	unsigned allowed; /* so many are fine, one more is refused */
	const char *reason;
	unsigned status;
};

/* 508 bytes and four more make a line of 512. */
#define WIDE_16	 "0123456789abcdef"
#define WIDE_127 WIDE_16 WIDE_16 WIDE_16 WIDE_16 WIDE_16 WIDE_16 WIDE_16 "0123456789abcde"
#define WIDE	 WIDE_127 WIDE_127 WIDE_127 WIDE_127

static const struct limit limits[] = {
	{"extensions have a limit in one chunk", "a", "1;", HTTP_MAX_CHUNK_EXT - 1,
	 "chunk_extensions_too_large", 400},
	/* Two bytes each: ";" and the name. */
	{"extensions have a limit over all chunks", "1;a\r\nx\r\n", "", HTTP_MAX_CHUNK_EXT / 2,
	 "chunk_extensions_too_large", 400},
	{"leading zeros count as extensions", "0000000000000001\r\nx\r\n", "",
	 HTTP_MAX_CHUNK_EXT / 15, "chunk_extensions_too_large", 400},
	/* 16 bytes of data pay for one: one is left over each time. */
	{"data pays for extensions", "10;a\r\n0123456789abcdef\r\n", "", HTTP_MAX_CHUNK_EXT - 1,
	 "chunk_extensions_too_large", 400},
	/* Four bytes each: the name, ':', CRLF. */
	{"trailers have a limit of fields", "a:\r\n", "0\r\n", HTTP_MAX_TRAILER_FIELDS,
	 "too_many_trailers", 431},
	{"trailers have a limit over all lines", "a:" WIDE "\r\n", "0\r\n",
	 HTTP_MAX_TRAILERS / (sizeof("a:" WIDE "\r\n") - 1), "trailers_too_large", 431},
};

static bool feed_text(struct http_chunked *chunked, struct slice in, struct http_refusal *refusal)
{
	struct slice data;

	while (in.len > 0) {
		ssize_t n = http_chunked_read(chunked, in, &data, refusal);

		if (n < 0)
			return false;
		if (n == 0)
			fail_msg("'%.*s' is left", SLICE_ARG(in));
		in = (struct slice){in.ptr + n, in.len - (size_t)n};
	}
	return true;
}

static void test_limit(void **state)
{
	const struct limit *limit = *state;
	struct http_refusal refusal = {0};
	struct http_chunked chunked;

	http_chunked_init(&chunked);
	assert_true(feed_text(&chunked, slice_of(limit->begin), &refusal));
	for (unsigned i = 0; i < limit->allowed; i++)
		assert_true(feed_text(&chunked, slice_of(limit->repeat), &refusal));
	assert_false(feed_text(&chunked, slice_of(limit->repeat), &refusal));
	assert_string_equal(refusal.reason, limit->reason);
	assert_int_equal(refusal.status, limit->status);
}

/* The last line of an allowed section ends where the limit is; then only the final CRLF may come.
 */
static void test_long_trailer(void **state)
{
	static char text[HTTP_MAX_TRAILERS + 16];
	struct http_refusal refusal = {0};
	struct http_header field;

	(void)state;
	for (size_t len = HTTP_MAX_TRAILERS - 1; len <= HTTP_MAX_TRAILERS + 1; len++) {
		struct http_chunked chunked;

		memset(text, 'v', sizeof(text));
		memcpy(text, "0\r\na:", 5);
		memcpy(text + 3 + len - 2, "\r\n\r\n", 4);
		for (size_t cut = len; cut <= len + 7; cut++) {
			bool fine = len <= HTTP_MAX_TRAILERS;
			size_t need = fine ? 3 + len : 3 + HTTP_MAX_TRAILERS + 2;
			struct slice in = {text + 3, cut - 3};

			http_chunked_init(&chunked);
			chunked.keep_trailers = true;
			assert_true(feed_text(&chunked, SLICE("0\r\n"), &refusal));
			assert_int_equal(
				http_trailer_read(&chunked, guard_copy(in), &field, &refusal),
				cut < need ? 0
				: fine	   ? (ssize_t)len
					   : -EBADMSG);
		}
	}
	assert_string_equal(refusal.reason, "trailers_too_large");
}

static void test_extension_in_every_chunk(void **state)
{
	struct http_refusal refusal = {0};
	struct http_chunked chunked;

	(void)state;
	http_chunked_init(&chunked);
	for (unsigned i = 0; i < 100000; i++)
		assert_true(feed_text(&chunked,
				      SLICE("20;a\r\n0123456789abcdef0123456789"
					    "abcdef\r\n"),
				      &refusal));
}

static void test_small_chunks(void **state)
{
	struct http_refusal refusal = {0};
	struct http_chunked chunked;

	(void)state;
	http_chunked_init(&chunked);
	for (unsigned i = 0; i < 100000; i++)
		assert_true(feed_text(&chunked, SLICE("1\r\nx\r\n"), &refusal));
}

static void test_refused_stays_refused(void **state)
{
	struct http_refusal refusal = {0};
	struct http_chunked chunked;

	(void)state;
	http_chunked_init(&chunked);
	assert_false(feed_text(&chunked, SLICE("z"), &refusal));
	assert_false(feed_text(&chunked, SLICE("0\r\n\r\n"), &refusal));
}

int main(void)
{
	static struct CMUnitTest tests[COUNT(rows) + COUNT(limits) + 4];
	size_t n = 0;

	for (size_t i = 0; i < COUNT(rows); i++)
		tests[n++] =
			(struct CMUnitTest){rows[i].name, test_row, NULL, NULL, (void *)&rows[i]};
	for (size_t i = 0; i < COUNT(limits); i++)
		tests[n++] = (struct CMUnitTest){limits[i].name, test_limit, NULL, NULL,
						 (void *)&limits[i]};
	tests[n++] = (struct CMUnitTest){"one-byte chunks without end are read", test_small_chunks,
					 NULL, NULL, NULL};
	tests[n++] = (struct CMUnitTest){"a trailer section ends at its limit", test_long_trailer,
					 NULL, NULL, NULL};
	tests[n++] = (struct CMUnitTest){"an extension in every chunk of a long body is read",
					 test_extension_in_every_chunk, NULL, NULL, NULL};
	tests[n++] = (struct CMUnitTest){"what was refused stays refused",
					 test_refused_stays_refused, NULL, NULL, NULL};
	return cmocka_run_group_tests_name("chunked", tests, NULL, NULL);
}
