/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Limits of heads, and what random bytes do to the parsers. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/clock.h"
#include "guard.h"
#include "http/message.h"

#define COUNT(array)  (sizeof(array) / sizeof((array)[0]))
#define MUTATIONS     200000
#define FUZZ_LIMIT_MS 2000

static char big[4 * HTTP_MAX_HEAD];

static void put_text(struct http_writer *w, const char *text, size_t times)
{
	for (size_t i = 0; i < times; i++)
		http_put(w, slice_of(text));
	assert_false(w->overflow);
}

struct limit {
	const char *name;
	const char *begin;
	const char *repeat;
	const char *end;
	size_t allowed; /* repetitions that are fine; one more is not */
	unsigned status;
	const char *reason;
};

/* 16384 = "GET / HTTP/1.1" CRLF, "Host: a" CRLF, "X: " value CRLF, CRLF with 16352 of value. */
static const struct limit limits[] = {
	{"a target of 8192 bytes", "GET /", "a", " HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_MAX_LINE - 1,
	 414, "target_too_long"},
	{"100 headers", "GET / HTTP/1.1\r\nHost: a\r\n", "A: b\r\n", "\r\n", HTTP_MAX_HEADERS - 1,
	 431, "too_many_headers"},
	{"a head of 16384 bytes", "GET / HTTP/1.1\r\nHost: a\r\nX: ", "v", "\r\n\r\n",
	 HTTP_MAX_HEAD - 32, 431, "head_too_large"},
	{"a method of 64 bytes", "A", "A", " / HTTP/1.1\r\nHost: a\r\n\r\n", 63, 501,
	 "method_too_long"},
};

static struct slice limit_text(const struct limit *limit, size_t times)
{
	struct http_writer w = {.ptr = big, .size = sizeof(big)};

	put_text(&w, limit->begin, 1);
	put_text(&w, limit->repeat, times);
	put_text(&w, limit->end, 1);
	return (struct slice){w.ptr, w.len};
}

static void test_limit(void **state)
{
	const struct limit *limit = *state;
	struct http_refusal refusal = {0};
	struct slice text = limit_text(limit, limit->allowed);
	struct http_head head;
	bool refused = false;

	assert_int_equal(http_parse_request(guard_copy(text), &head, &refusal), text.len);
	text = limit_text(limit, limit->allowed + 1);
	for (size_t len = text.len > 700 ? text.len - 700 : 0; len <= text.len; len++) {
		ssize_t got = http_parse_request(guard_copy((struct slice){text.ptr, len}), &head,
						 &refusal);

		refused = refused || got < 0;
		assert_int_equal(got, refused ? -EBADMSG : 0);
	}
	assert_true(refused);
	assert_string_equal(refusal.reason, limit->reason);
	assert_int_equal(refusal.status, limit->status);
}

/* Without an end in sight only the beginning is looked at, but what cannot end well is refused. */
static void test_long_head_in_pieces(void **state)
{
	static const struct {
		const char *more;
		size_t times;
		const char *reason; /* NULL: wait */
	} rows[] = {
		{"more", 1, NULL},
		{"a\r\nB: c", 1, NULL},
		{"a\nB", 1, "bad_header_value"},
		{"\r\n\n", 1, "bad_header_name"},
		{"\r\nB: c", HTTP_MAX_HEADERS, "too_many_headers"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct http_writer w = {.ptr = big, .size = sizeof(big)};
		struct http_refusal refusal = {0};
		struct http_head head;
		ssize_t got;

		put_text(&w, "GET / HTTP/1.1\r\nHost: a\r\nX: ", 1);
		put_text(&w, "v", 4000);
		put_text(&w, rows[i].more, rows[i].times);
		got = http_parse_request(guard_copy((struct slice){w.ptr, w.len}), &head, &refusal);
		assert_int_equal(got, rows[i].reason ? -EBADMSG : 0);
		if (rows[i].reason)
			assert_string_equal(refusal.reason, rows[i].reason);
	}
}

static const struct slice seeds[] = {
	SLICE("GET /index.html?q=1 HTTP/1.1\r\nHost: example.com:8080\r\nConnection: x, close\r\n"
	      "X: 1\r\n\r\n"),
	SLICE("POST http://[::1]:80/x HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\n"
	      "Expect: 100-continue\r\n\r\n"),
	SLICE("\r\nPUT / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"),
	SLICE("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
	      "chunked\r\n\r\n3;a=\"b\"\r\nabc\r\n0\r\n"
	      "T: v\r\n\r\n"),
	SLICE("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nVia: 1.1 a\r\n\r\nabc"),
	SLICE("HTTP/1.0 304 Not Modified\r\nConnection: keep-alive\r\nUpgrade: h2c\r\n\r\n"),
	SLICE("a;b=c\r\n0123456789\r\n1 ; x=\"\\\"\"\r\nz\r\n0\r\nX: y\r\n\r\n"),
};

static uint64_t next_random(uint64_t *seed)
{
	*seed ^= *seed << 13; /* xorshift64: the same numbers in every run */
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

static size_t mutate(struct slice seed, uint64_t *random, char *out, size_t size)
{
	static const char favourites[] = "\r\n\0 \t:;,=/0\"\x7f\xff[]#%";
	size_t len = seed.len < size ? seed.len : size;

	memcpy(out, seed.ptr, len);
	for (unsigned n = 1 + (unsigned)(next_random(random) % 4); n > 0 && len > 1; n--) {
		uint64_t dice = next_random(random);
		size_t at = (dice >> 8) % len;

		if (dice % 4 == 0) {
			memmove(out + at, out + at + 1, len - at - 1);
			len--;
		} else if (dice % 4 == 1 && len < size) {
			memmove(out + at + 1, out + at, len - at);
			len++;
		} else {
			out[at] = dice % 4 == 2 ? (char)(dice >> 40)
						: favourites[(dice >> 40) % sizeof(favourites)];
		}
	}
	return len;
}

typedef ssize_t parse_fn(struct slice in, struct http_head *head, struct http_refusal *refusal);

static ssize_t parse_response(struct slice in, struct http_head *head, struct http_refusal *refusal)
{
	return http_parse_response(in, HTTP_GET, head, refusal);
}

/* What a piece said must be what the whole says, or "more". */
static void check_split(parse_fn *parse, struct slice text, size_t cut)
{
	static struct http_head part, whole; /* static: 4 KB each that need no clearing */
	struct http_refusal refusal_part = {0}, refusal = {0};
	ssize_t early, got;

	early = parse(guard_copy((struct slice){text.ptr, cut}), &part, &refusal_part);
	got = parse(guard_copy(text), &whole, &refusal);
	assert_true(got <= (ssize_t)text.len);
	if (early == 0)
		return;
	assert_int_equal(early, got);
	if (got < 0) {
		assert_string_equal(refusal_part.reason, refusal.reason);
		assert_int_equal(refusal_part.offset, refusal.offset);
	} else {
		assert_int_equal(part.framing, whole.framing);
		assert_int_equal(part.n_headers, whole.n_headers);
	}
}

struct outcome {
	const char *reason; /* NULL: none */
	uint64_t hash;	    /* of the data */
	size_t consumed;
	bool done;
};

static ssize_t read_part(struct http_chunked *chunked, struct slice in, struct outcome *outcome)
{
	struct http_refusal refusal;
	struct http_header field = {0};
	struct slice data = {0};
	ssize_t n;

	if (chunked->trailers) {
		n = http_trailer_read(chunked, in, &field, &refusal);
		data = field.value;
	} else {
		n = http_chunked_read(chunked, in, &data, &refusal);
	}
	if (n < 0) {
		outcome->reason = refusal.reason;
		outcome->consumed += refusal.offset;
		return n;
	}
	for (size_t i = 0; n > 0 && i < data.len; i++)
		outcome->hash = outcome->hash * 31 + (unsigned char)data.ptr[i] + 1;
	return n;
}

/* What <text> holds up to <end>, from where the last call came to. */
static void feed(struct http_chunked *chunked, struct slice text, size_t end,
		 struct outcome *outcome)
{
	struct slice in = {text.ptr + outcome->consumed, end - outcome->consumed};

	if (outcome->reason)
		return;
	in = guard_copy(in);
	while (in.len > 0 && !chunked->done) {
		ssize_t n = read_part(chunked, in, outcome);

		if (n <= 0)
			break;
		assert_in_range(n, 1, in.len);
		outcome->consumed += (size_t)n;
		in = (struct slice){in.ptr + n, in.len - (size_t)n};
	}
	outcome->done = chunked->done;
}

static struct outcome read_cut(struct slice text, size_t cut)
{
	struct outcome outcome = {0};
	struct http_chunked chunked;

	http_chunked_init(&chunked);
	chunked.keep_trailers = true;
	feed(&chunked, text, cut, &outcome);
	feed(&chunked, text, text.len, &outcome);
	return outcome;
}

static void check_chunked(struct slice text, size_t cut)
{
	struct outcome whole = read_cut(text, 0), pieces = read_cut(text, cut);

	assert_int_equal(whole.hash, pieces.hash);
	assert_int_equal(whole.done, pieces.done);
	assert_ptr_equal(whole.reason, pieces.reason);	   /* constants */
	assert_int_equal(whole.consumed, pieces.consumed); /* or where it was refused */
}

static void test_mutations(void **state)
{
	uint64_t random = 0x6c62643a6c62643a, end = clock_ms() + FUZZ_LIMIT_MS;
	char text[512];
	unsigned n = 0;

	(void)state;
	for (; n < MUTATIONS && (n % 256 != 0 || clock_ms() < end); n++) {
		size_t len = mutate(seeds[n % COUNT(seeds)], &random, text, sizeof(text));
		size_t cut = next_random(&random) % (len + 1);

		check_split(http_parse_request, (struct slice){text, len}, cut);
		check_split(parse_response, (struct slice){text, len}, cut);
		check_chunked((struct slice){text, len}, cut);
	}
	assert_true(n > MUTATIONS / 100);
}

int main(void)
{
	static struct CMUnitTest tests[COUNT(limits) + 2];
	size_t n = 0;

	for (size_t i = 0; i < COUNT(limits); i++)
		tests[n++] = (struct CMUnitTest){limits[i].name, test_limit, NULL, NULL,
						 (void *)&limits[i]};
	tests[n++] = (struct CMUnitTest){"a long head in pieces is waited for or refused",
					 test_long_head_in_pieces, NULL, NULL, NULL};
	tests[n++] = (struct CMUnitTest){"mutated messages give one answer however they are split",
					 test_mutations, NULL, NULL, NULL};
	return cmocka_run_group_tests_name("robustness", tests, NULL, NULL);
}
