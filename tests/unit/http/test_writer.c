/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "http/message.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void assert_written(const struct http_writer *w, const char *expected)
{
	assert_false(w->overflow);
	if (!slice_eq((struct slice){w->ptr, w->len}, slice_of(expected)))
		fail_msg("'%.*s' is not '%s'", (int)w->len, w->ptr, expected);
}

static void test_rewrites_request(void **state)
{
	static const struct slice in = SLICE(
		"GET http://b:81/x HTTP/1.0\r\nhost: a\r\nConnection: close, x-a\r\nX-A: 1\r\n"
		"Content-Length: 007\r\nExpect: 100-continue\r\nKeep-Alive: 3\r\nAccept: */*\r\n"
		"TE: trailers\r\nUpgrade: h2c\r\nVia: 1.0 v\r\n\r\n");
	char memory[256];
	struct http_writer w = {.ptr = memory, .size = sizeof(memory)};
	struct http_refusal refusal;
	struct http_head head;

	(void)state;
	assert_int_equal(http_parse_request(in, &head, &refusal), in.len);
	http_put_request_line(&w, &head);
	http_put_end_to_end(&w, &head);
	http_put(&w, SLICE("\r\n"));
	assert_written(&w, "GET /x HTTP/1.1\r\nhost: b:81\r\nAccept: */*\r\nVia: 1.0 v\r\n\r\n");
}

/* RFC 9110 section 4.2.3. */
static void test_an_empty_path_is_written_as_a_slash(void **state)
{
	char in[] = "GET http://b:81?x=? HTTP/1.1\r\nHost: a\r\nX: 1\r\n\r\n";
	char memory[256];
	struct http_writer w = {.ptr = memory, .size = sizeof(memory)};
	struct http_refusal refusal;
	struct http_head head;

	(void)state;
	assert_int_equal(http_parse_request(slice_of(in), &head, &refusal), strlen(in));
	http_put_request_line(&w, &head);
	assert_written(&w, "GET /?x=? HTTP/1.1\r\n");
	http_complete_target(&head, in);
	assert_true(slice_eq(head.target, SLICE("/?x=?")));
	assert_true(slice_eq(head.authority, SLICE("b:81")));
	w.len = 0;
	http_put_request_line(&w, &head);
	http_put_end_to_end(&w, &head);
	assert_written(&w, "GET /?x=? HTTP/1.1\r\nHost: b:81\r\nX: 1\r\n");
}

static void test_a_whole_target_stays(void **state)
{
	char in[] = "GET http://b/?x HTTP/1.1\r\nHost: a\r\n\r\n", before[sizeof(in)];
	struct http_refusal refusal;
	struct http_head head;

	(void)state;
	memcpy(before, in, sizeof(in));
	assert_int_equal(http_parse_request(slice_of(in), &head, &refusal), strlen(in));
	http_complete_target(&head, in);
	assert_memory_equal(in, before, sizeof(in));
	assert_true(slice_eq(head.target, SLICE("/?x")));
}

static void test_what_is_written_parses_the_same(void **state)
{
	static const struct slice in =
		SLICE("POST /a?b HTTP/1.1\r\nHost: a\r\nX: \xff\t1\r\nY:\r\n\r\n");
	char memory[256];
	struct http_writer w = {.ptr = memory, .size = sizeof(memory)};
	struct http_refusal refusal;
	struct http_head head, again;

	(void)state;
	assert_int_equal(http_parse_request(in, &head, &refusal), in.len);
	http_put_request_line(&w, &head);
	http_put_end_to_end(&w, &head);
	http_put(&w, SLICE("\r\n"));
	assert_int_equal(http_parse_request((struct slice){w.ptr, w.len}, &again, &refusal), w.len);
	assert_int_equal(again.n_headers, head.n_headers);
	for (unsigned i = 0; i < head.n_headers; i++) {
		assert_true(slice_eq(again.headers[i].name, head.headers[i].name));
		assert_true(slice_eq(again.headers[i].value, head.headers[i].value));
	}
}

/* Lines in our own form go in one piece with their neighbours; all others are written anew. */
static void test_every_line_comes_out_in_one_form(void **state)
{
	static const struct slice in = SLICE(
		"GET / HTTP/1.1\r\nHost: a\r\nA: 1\r\nB:2\r\nC: 3 \r\nD:\t4\r\nE:\r\nF:  6\r\n"
		"Keep-Alive: 7\r\nG: 8\r\nH: 9\r\nConnection: i\r\nI: 10\r\n\r\n");
	char memory[256];
	struct http_writer w = {.ptr = memory, .size = sizeof(memory)};
	struct http_refusal refusal;
	struct http_head head;

	(void)state;
	assert_int_equal(http_parse_request(in, &head, &refusal), in.len);
	head.headers[9].value = SLICE("other"); /* of H */
	http_put_end_to_end(&w, &head);
	assert_written(&w, "Host: a\r\nA: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\nE: \r\nF: 6\r\n"
			   "G: 8\r\nH: other\r\n");
}

static void test_status_line(void **state)
{
	char memory[64];
	struct http_writer w = {.ptr = memory, .size = sizeof(memory)};

	(void)state;
	http_put_status_line(&w, 503, slice_of(http_status_text(503)));
	http_put_header(&w, SLICE("Retry-After"), SLICE("1"));
	assert_written(&w, "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n");
}

static void test_numbers(void **state)
{
	static const struct {
		uint64_t number;
		const char *text;
	} rows[] = {{0, "0"}, {10, "10"}, {UINT64_MAX, "18446744073709551615"}};
	char memory[32];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct http_writer w = {.ptr = memory, .size = sizeof(memory)};

		http_put_number(&w, rows[i].number);
		assert_written(&w, rows[i].text);
	}
}

static void test_overflow(void **state)
{
	char memory[8] = "";
	struct http_writer w = {.ptr = memory, .size = 4};

	(void)state;
	http_put(&w, SLICE("abcd"));
	assert_written(&w, "abcd");
	http_put(&w, SLICE("e"));
	assert_true(w.overflow);
	assert_int_equal(w.len, 4);
	assert_int_equal(memory[4], 0);
	w = (struct http_writer){.ptr = memory, .size = 4};
	http_put(&w, SLICE("abcde"));
	http_put(&w, SLICE("f")); /* would fit, but the text has a hole already */
	assert_true(w.overflow);
	assert_int_equal(w.len, 0);
}

static void test_chunk_heads(void **state)
{
	static const struct {
		uint64_t len;
		const char *text;
	} rows[] = {{0, "0\r\n"}, {0x1a2b, "1a2b\r\n"}, {UINT64_MAX, "ffffffffffffffff\r\n"}};
	char out[HTTP_CHUNK_HEAD];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		size_t len = http_chunk_head(rows[i].len, out);

		assert_true(slice_eq((struct slice){out, len}, slice_of(rows[i].text)));
	}
}

static void test_methods(void **state)
{
	static const struct {
		enum http_method method;
		bool idempotent;
	} rows[] = {{HTTP_GET, true},	  {HTTP_HEAD, true},	{HTTP_PUT, true},
		    {HTTP_DELETE, true},  {HTTP_OPTIONS, true}, {HTTP_TRACE, true},
		    {HTTP_POST, false},	  {HTTP_PATCH, false},	{HTTP_OTHER, false},
		    {HTTP_CONNECT, false}};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_int_equal(http_method_idempotent(rows[i].method), rows[i].idempotent);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		{"a request is rewritten for the next hop", test_rewrites_request, NULL, NULL,
		 NULL},
		{"an empty path is written as a slash", test_an_empty_path_is_written_as_a_slash,
		 NULL, NULL, NULL},
		{"a whole target stays as it is", test_a_whole_target_stays, NULL, NULL, NULL},
		{"what is written parses the same", test_what_is_written_parses_the_same, NULL,
		 NULL, NULL},
		{"every line comes out in one form", test_every_line_comes_out_in_one_form, NULL,
		 NULL, NULL},
		{"a status line and a header", test_status_line, NULL, NULL, NULL},
		{"numbers", test_numbers, NULL, NULL, NULL},
		{"what does not fit is left out and said", test_overflow, NULL, NULL, NULL},
		{"heads of chunks", test_chunk_heads, NULL, NULL, NULL},
		{"idempotent methods are those of RFC 9110", test_methods, NULL, NULL, NULL},
	};

	return cmocka_run_group_tests_name("writer", tests, NULL, NULL);
}
