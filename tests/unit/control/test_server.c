/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What a client sees, over a real socket; every row in one piece and byte by byte. */
#include "rig.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define CLOSE	    "Connection: close\r\n"
#define GET(target) SLICE("GET " target " HTTP/1.1\r\nHost: lbd\r\n" CLOSE "\r\n")
#define PUT(target, fields, body) \
	SLICE("PUT " target " HTTP/1.1\r\nHost: lbd\r\n" CLOSE fields "\r\n" body)
#define ERROR(code, message) \
	"{\"error\":{\"code\":\"" code "\",\"message\":\"" message "\",\"field\":null}}\n"

struct row {
	const char *name;
	struct slice in;
	const char *status; /* how the reply begins */
	const char *field;  /* ... what is in its head, or NULL */
	const char *body;   /* ... all of it; NULL: any */
};

static const struct row rows[] = {
	{"a GET is answered", GET("/v1/things"), "HTTP/1.1 200 OK\r\n",
	 "Content-Type: application/json\r\n",
	 "{\"method\":1,\"path\":\"/v1/things\",\"arg\":null,\"params\":{},\"body\":null}\n"},
	{"the arguments are decoded", GET("/v1/things/10.0.0.1%3A80?a=b%20c&d"),
	 "HTTP/1.1 200 OK\r\n", NULL,
	 "{\"method\":1,\"path\":\"/v1/things/10.0.0.1%3A80\",\"arg\":\"10.0.0.1:80\","
	 "\"params\":{\"a\":\"b c\",\"d\":\"\"},\"body\":null}\n"},
	{"a body with a length", PUT("/v1/things/a", "Content-Length: 7\r\n", "{\"a\":1}"),
	 "HTTP/1.1 200 OK\r\n", NULL,
	 "{\"method\":4,\"path\":\"/v1/things/"
	 "a\",\"arg\":\"a\",\"params\":{},\"body\":{\"a\":1}}\n"},
	{"a body in chunks",
	 PUT("/v1/things/a", "Transfer-Encoding: chunked\r\n",
	     "3\r\n{\"a\r\n4;x=y\r\n\":1}\r\n0\r\nT: v\r\n\r\n"),
	 "HTTP/1.1 200 OK\r\n", NULL,
	 "{\"method\":4,\"path\":\"/v1/things/"
	 "a\",\"arg\":\"a\",\"params\":{},\"body\":{\"a\":1}}\n"},
	{"an empty body is none", PUT("/v1/things/a", "Content-Length: 0\r\n", ""),
	 "HTTP/1.1 200 OK\r\n", NULL,
	 "{\"method\":4,\"path\":\"/v1/things/a\",\"arg\":\"a\",\"params\":{},\"body\":null}\n"},
	{"a verb without a reply says {}",
	 SLICE("DELETE /v1/things/a HTTP/1.1\r\nHost: lbd\r\n" CLOSE "\r\n"),
	 "HTTP/1.1 202 Accepted\r\n", "Content-Length: 3\r\n", "{}\n"},
	{"HEAD is GET without a body",
	 SLICE("HEAD /v1/things/a HTTP/1.1\r\nHost: lbd\r\n" CLOSE "\r\n"), "HTTP/1.1 200 OK\r\n",
	 "Content-Length: 69\r\n", ""},
	{"HTTP/1.0 is answered and closed", SLICE("GET /v1/things/a HTTP/1.0\r\n\r\n"),
	 "HTTP/1.1 200 OK\r\n", "Connection: close\r\n", NULL},
	{"an unknown path", GET("/v1/nothing?x"), "HTTP/1.1 404 Not Found\r\n", NULL,
	 ERROR("not_found", "there is no '/v1/nothing' in this API")},
	{"a known path and another method", PUT("/v1/things", "", ""),
	 "HTTP/1.1 405 Method Not Allowed\r\n", "Allow: GET, HEAD\r\n",
	 ERROR("method_not_allowed", "'/v1/things' has no such method; it has GET, HEAD")},
	{"all methods of a path are named",
	 SLICE("OPTIONS /v1/things/a HTTP/1.1\r\nHost: lbd\r\n" CLOSE "\r\n"),
	 "HTTP/1.1 405 Method Not Allowed\r\n", "Allow: GET, HEAD, PUT, DELETE\r\n", NULL},
	{"TRACE is refused with what is allowed",
	 SLICE("TRACE /v1/things HTTP/1.1\r\nHost: lbd\r\n\r\n"),
	 "HTTP/1.1 405 Method Not Allowed\r\n", "Allow: ", NULL},
	{"a verb's own error", GET("/v1/big?size=x"), "HTTP/1.1 400 Bad Request\r\n", NULL,
	 "{\"error\":{\"code\":\"bad_size\",\"message\":\"'x' is no size\",\"field\":\"size\"}}\n"},
	{"a bad escape", GET("/v1/things/%zz"), "HTTP/1.1 400 Bad Request\r\n", NULL,
	 ERROR("bad_target", "the path has a bad percent escape")},
	{"malformed JSON tells line and column",
	 PUT("/v1/things/a", "Content-Length: 9\r\n", "{\n\"a\": x}"),
	 "HTTP/1.1 400 Bad Request\r\n", NULL,
	 ERROR("bad_json", "line 2, column 6: invalid token near 'x'")},
	{"JSON that ends too early", PUT("/v1/things/a", "Content-Length: 4\r\n", "[1,2"),
	 "HTTP/1.1 400 Bad Request\r\n", NULL,
	 ERROR("bad_json", "line 1, column 4: ']' expected near end of file")},
	{"two values of one key",
	 PUT("/v1/things/a", "Content-Length: 13\r\n", "{\"a\":1,\"a\":2}"),
	 "HTTP/1.1 400 Bad Request\r\n", NULL, NULL},
	{"JSON with bytes that are no UTF-8",
	 PUT("/v1/things/a", "Content-Length: 7\r\n", "[\"\xff\xfe\"] "),
	 "HTTP/1.1 400 Bad Request\r\n", NULL, NULL},
	{"text behind the JSON", PUT("/v1/things/a", "Content-Length: 4\r\n", "{}{}"),
	 "HTTP/1.1 400 Bad Request\r\n", NULL, NULL},
	{"no HTTP", SLICE("\x16\x03\x01 hello\r\n"), "HTTP/1.1 400 Bad Request\r\n", CLOSE,
	 ERROR("bad_request", "the request is refused: bad_method")},
	{"a bad chunk", PUT("/v1/things/a", "Transfer-Encoding: chunked\r\n", "x\r\n"),
	 "HTTP/1.1 400 Bad Request\r\n", CLOSE,
	 ERROR("bad_request", "the body is refused: bad_chunk_size")},
	{"length and chunks",
	 PUT("/v1/things/a", "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", "{}"),
	 "HTTP/1.1 400 Bad Request\r\n", CLOSE, NULL},
	{"a length above the limit", PUT("/v1/things/a", "Content-Length: 1048577\r\n", ""),
	 "HTTP/1.1 413 Content Too Large\r\n", CLOSE,
	 ERROR("body_too_large", "the body is larger than 1 MiB")},
	{"an unknown expectation", PUT("/v1/things/a", "Expect: x\r\nContent-Length: 2\r\n", "{}"),
	 "HTTP/1.1 417 Expectation Failed\r\n", CLOSE, NULL},
	{"the next version", SLICE("GET / HTTP/2.0\r\n\r\n"),
	 "HTTP/1.1 505 HTTP Version Not Supported\r\n", CLOSE, NULL},
	{"requests in one piece are answered in order",
	 SLICE("GET /v1/things/1 HTTP/1.1\r\nHost: lbd\r\n\r\n"
	       "PUT /v1/things/2 HTTP/1.1\r\nHost: lbd\r\nContent-Length: 2\r\n\r\n{}"
	       "GET /v1/nothing HTTP/1.1\r\nHost: lbd\r\n" CLOSE "\r\nGET /v1/never"),
	 "HTTP/1.1 200 OK\r\n", "Connection: keep-alive\r\n",
	 "{\"method\":1,\"path\":\"/v1/things/1\",\"arg\":\"1\",\"params\":{},\"body\":null}\n"
	 "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 67\r\n"
	 "Connection: keep-alive\r\n\r\n"
	 "{\"method\":4,\"path\":\"/v1/things/2\",\"arg\":\"2\",\"params\":{},\"body\":{}}\n"
	 "HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nContent-Length: 94\r\n"
	 "Connection: close\r\n\r\n"
	 "{\"error\":{\"code\":\"not_found\",\"message\":\"there is no '/v1/nothing' in this API\","
	 "\"field\":null}}\n"},
};

static struct rig rig;

static int set_up(void **state)
{
	(void)state;
	rig_start(&rig, 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	rig_stop(&rig);
	return 0;
}

static void assert_reply(const struct row *row, const struct buffer *text)
{
	const char *end = strstr(text->ptr, "\r\n\r\n");
	const char *field;

	assert_non_null(end);
	if (!slice_starts(slice_of(text->ptr), slice_of(row->status)))
		fail_msg("does not begin '%s': %s", row->status, text->ptr);
	if (row->field) {
		field = strstr(text->ptr, row->field);
		if (!field || field > end)
			fail_msg("no '%s' in the head of: %s", row->field, text->ptr);
	}
	if (row->body)
		assert_string_equal(end + 4, row->body);
}

static void test_row(void **state)
{
	const struct row *row = *state;
	struct buffer text;
	int fd;

	rig_ask(&rig, row->in, &text);
	assert_reply(row, &text);
	buffer_fini(&text);

	fd = rig_connect(&rig);
	for (size_t i = 0; i < row->in.len; i++)
		rig_send(fd, (struct slice){row->in.ptr + i, 1});
	rig_read_all(fd, &text);
	close(fd);
	assert_reply(row, &text);
	buffer_fini(&text);
}

int main(void)
{
	static struct CMUnitTest tests[COUNT(rows)];

	for (size_t i = 0; i < COUNT(rows); i++)
		tests[i] =
			(struct CMUnitTest){rows[i].name, test_row, NULL, NULL, (void *)&rows[i]};
	return cmocka_run_group_tests_name("control", tests, set_up, tear_down);
}
