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
	const char *reason; /* NULL: accepted */
	size_t left;	    /* bytes behind the body */
	bool open;	    /* not done at the end of the input */
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
	ACCEPT("trailers are dropped",
	       "3\r\nabc\r\n0\r\nContent-Length: 9\r\nX: \"\\ y\r\nZ:\r\n\r\n", "abc"),
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
	size_t consumed;
	bool refused;
};

/* Feeds one piece, as often as it takes. */
static void feed(struct sink *sink, struct slice piece)
{
	struct slice in = guard_copy(piece), data;

	while (!sink->refused && !sink->chunked.done && in.len > 0) {
		ssize_t n = http_chunked_read(&sink->chunked, in, &data, &sink->refusal);

		if (n < 0) {
			assert_int_equal(n, -EBADMSG);
			assert_true(sink->refusal.offset < in.len);
			sink->refused = true;
			return;
		}
		assert_in_range(n, 1, in.len);
		assert_true(data.ptr >= in.ptr && data.ptr + data.len <= in.ptr + n);
		assert_true(sink->n_data + data.len <= sizeof(sink->data));
		if (data.len > 0)
			memcpy(sink->data + sink->n_data, data.ptr, data.len);
		sink->n_data += data.len;
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
	assert_int_equal(sink->consumed, row->in.len - row->left);
}

static void test_row(void **state)
{
	const struct row *row = *state;
	struct sink sink;

	for (size_t cut = 0; cut <= row->in.len; cut++) {
		sink = (struct sink){0};
		http_chunked_init(&sink.chunked);
		feed(&sink, (struct slice){row->in.ptr, cut});
		feed(&sink, (struct slice){row->in.ptr + cut, row->in.len - cut});
		assert_sink(&sink, row);
	}
	sink = (struct sink){0};
	http_chunked_init(&sink.chunked);
	for (size_t i = 0; i < row->in.len; i++)
		feed(&sink, (struct slice){row->in.ptr + i, 1});
	assert_sink(&sink, row);
}

struct limit {
	const char *name;
	const char *repeat; /* after <begin>, until <count> were fed */
	const char *begin;
	unsigned allowed; /* so many are fine, one more is refused */
	const char *reason;
};

static const struct limit limits[] = {
	{"extensions have a limit in one chunk", "a", "1;", HTTP_MAX_CHUNK_EXT - 1,
	 "chunk_extensions_too_large"},
	/* Two bytes each: ";" and the name. */
	{"extensions have a limit over all chunks", "1;a\r\nx\r\n", "", HTTP_MAX_CHUNK_EXT / 2,
	 "chunk_extensions_too_large"},
	{"leading zeros count as extensions", "0000000000000001\r\nx\r\n", "",
	 HTTP_MAX_CHUNK_EXT / 15, "chunk_extensions_too_large"},
	{"trailers have a limit in one line", "a", "0\r\n", HTTP_MAX_TRAILERS,
	 "trailers_too_large"},
	/* Three bytes each: the name, ':', CR. */
	{"trailers have a limit over all lines", "a:\r\n", "0\r\n", HTTP_MAX_TRAILERS / 3,
	 "trailers_too_large"},
};

static bool feed_text(struct http_chunked *chunked, struct slice in, struct http_refusal *refusal)
{
	struct slice data;

	while (in.len > 0) {
		ssize_t n = http_chunked_read(chunked, in, &data, refusal);

		if (n < 0)
			return false;
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
	static struct CMUnitTest tests[COUNT(rows) + COUNT(limits) + 2];
	size_t n = 0;

	for (size_t i = 0; i < COUNT(rows); i++)
		tests[n++] =
			(struct CMUnitTest){rows[i].name, test_row, NULL, NULL, (void *)&rows[i]};
	for (size_t i = 0; i < COUNT(limits); i++)
		tests[n++] = (struct CMUnitTest){limits[i].name, test_limit, NULL, NULL,
						 (void *)&limits[i]};
	tests[n++] = (struct CMUnitTest){"one-byte chunks without end are read", test_small_chunks,
					 NULL, NULL, NULL};
	tests[n++] = (struct CMUnitTest){"what was refused stays refused",
					 test_refused_stays_refused, NULL, NULL, NULL};
	return cmocka_run_group_tests_name("chunked", tests, NULL, NULL);
}
