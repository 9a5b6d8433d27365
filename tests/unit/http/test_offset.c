/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A refusal names the first byte that is wrong: who reads the log looks there. */
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

enum kind { REQUEST, RESPONSE, CHUNKED };

/* "<" before the wrong byte; the text that is parsed is without it. */
struct row {
	enum kind kind;
	const char *name;
	const char *text;
};

#define HEAD  "GET / HTTP/1.1\r\nHost: a\r\n"
#define REPLY "HTTP/1.1 200 OK\r\n"

static const struct row rows[] = {
	{REQUEST, "a delimiter in the method", "G<(T / HTTP/1.1\r\n"},
	{REQUEST, "a method that is refused", "<TRACE / HTTP/1.1\r\n"},
	{REQUEST, "a control in the target", "GET /a<\x01 HTTP/1.1\r\n"},
	{REQUEST, "another scheme", "GET <ftp://a/ HTTP/1.1\r\n"},
	{REQUEST, "a bad byte in an authority", "GET http://u<@a/ HTTP/1.1\r\n"},
	{REQUEST, "a bad port in an authority", "GET http://a:8<x/ HTTP/1.1\r\n"},
	{REQUEST, "a query without an authority", "GET http://<?x HTTP/1.1\r\n"},
	{REQUEST, "a version in lower case", "GET / <http/1.1\r\n"},
	{REQUEST, "another version", "GET / HTTP/<2.0\r\n"},
	{REQUEST, "a byte behind the version", "GET / HTTP/1.1< \r\n"},
	{REQUEST, "a bare LF", "GET / HTTP/1.1<\nHost: a\r\n\r\n"},
	{REQUEST, "a space before the colon", HEAD "X< : a\r\n\r\n"},
	{REQUEST, "a folded line", HEAD "X: a\r\n< b\r\n\r\n"},
	{REQUEST, "a control in a value", HEAD "X: a<\x01\r\n\r\n"},
	{REQUEST, "a bare CR", HEAD "X: a\r<b\r\n\r\n"},
	{REQUEST, "a name that is none", HEAD "X<@: a\r\n\r\n"},
	{REQUEST, "a line without a colon", HEAD "X<\r\n\r\n"},
	{REQUEST, "a bad byte in Host", "GET / HTTP/1.1\r\nHost: ab</c\r\n\r\n"},
	{REQUEST, "a bad escape in Host", "GET / HTTP/1.1\r\nHost: a%4<x\r\n\r\n"},
	{REQUEST, "an escape without its end", "GET / HTTP/1.1\r\nHost: a%4<\r\n\r\n"},
	{REQUEST, "an empty Host", "GET / HTTP/1.1\r\nHost: <\r\n\r\n"},
	{REQUEST, "a port without a host", "GET / HTTP/1.1\r\nHost: <:80\r\n\r\n"},
	{REQUEST, "a port that is too large", "GET / HTTP/1.1\r\nHost: a:<65536\r\n\r\n"},
	{REQUEST, "a port that is too long", "GET / HTTP/1.1\r\nHost: a:<0000080\r\n\r\n"},
	{REQUEST, "a bad byte in a port", "GET / HTTP/1.1\r\nHost: a:8<x\r\n\r\n"},
	{REQUEST, "brackets around no address", "GET / HTTP/1.1\r\nHost: [<::g]\r\n\r\n"},
	{REQUEST, "a bracket without its end", "GET / HTTP/1.1\r\nHost: [::1<\r\n\r\n"},
	{REQUEST, "a byte behind brackets", "GET / HTTP/1.1\r\nHost: [::1]<x\r\n\r\n"},
	{REQUEST, "the second Host", HEAD "X: y\r\n<Host: b\r\n\r\n"},
	{REQUEST, "the second length", HEAD "Content-Length: 1\r\n<Content-Length: 1\r\n\r\n"},
	{REQUEST, "the second coding",
	 HEAD "Transfer-Encoding: chunked\r\n<Transfer-Encoding: chunked\r\n\r\n"},
	{REQUEST, "a length behind a coding",
	 HEAD "Transfer-Encoding: chunked\r\n<Content-Length: 1\r\n\r\n"},
	{REQUEST, "a coding behind a length",
	 HEAD "Content-Length: 1\r\n<Transfer-Encoding: chunked\r\n\r\n"},
	{REQUEST, "a list of lengths", HEAD "Content-Length: 2<, 2\r\n\r\n"},
	{REQUEST, "a length with a sign", HEAD "Content-Length: <+2\r\n\r\n"},
	{REQUEST, "an empty length", HEAD "Content-Length: <\r\n\r\n"},
	{REQUEST, "a length that is too large",
	 HEAD "Content-Length: <9223372036854775808\r\n\r\n"},
	{REQUEST, "a parameter of a coding", HEAD "Transfer-Encoding: chunked<;q=1\r\n\r\n"},
	{REQUEST, "a coding behind chunked", HEAD "Transfer-Encoding: chunked, <gzip\r\n\r\n"},
	{REQUEST, "an unknown coding", HEAD "Transfer-Encoding: <gzip\r\n\r\n"},
	{REQUEST, "an option that is no token", HEAD "Connection: close, a< b\r\n\r\n"},
	{REQUEST, "an unknown expectation", HEAD "Expect: <magic\r\n\r\n"},
	{RESPONSE, "no HTTP", "<SSH-2.0\r\n"},
	{RESPONSE, "a letter in the status", "HTTP/1.1 2<x0 OK\r\n\r\n"},
	{RESPONSE, "a status that is none", "HTTP/1.1 <900 OK\r\n\r\n"},
	{RESPONSE, "four digits of status", "HTTP/1.1 200<0 OK\r\n\r\n"},
	{RESPONSE, "a control in the reason", "HTTP/1.1 200 O<\x01\r\n\r\n"},
	{RESPONSE, "the second length in a response",
	 REPLY "Content-Length: 1\r\n<content-length: 2\r\n\r\n"},
	{CHUNKED, "a size that is none", "<x\r\n"},
	{CHUNKED, "a space behind a size", "2 <\r\nab"},
	{CHUNKED, "an extension without a name", "2;<\r\nab"},
	{CHUNKED, "data beyond its size", "2\r\nab<c\r\n"},
	{CHUNKED, "a bare LF behind data", "2\r\nab<\n"},
	{CHUNKED, "a size that is too large", "800000000000000<0\r\n"},
	{CHUNKED, "a space in a trailer's name", "2\r\nab\r\n0\r\nA: b\r\nC< : d\r\n\r\n"},
	{CHUNKED, "a folded trailer", "0\r\nA: b\r\n< c\r\n\r\n"},
};

/* How far the text is understood. */
static bool refused_at(enum kind kind, struct slice in, size_t *ret_offset)
{
	struct http_refusal refusal = {0};
	struct http_chunked chunked;
	struct http_head head;
	struct slice data;
	size_t used = 0;
	ssize_t n = 0;

	if (kind == REQUEST)
		n = http_parse_request(in, &head, &refusal);
	if (kind == RESPONSE)
		n = http_parse_response(in, HTTP_GET, &head, &refusal);
	http_chunked_init(&chunked);
	while (kind == CHUNKED) {
		n = http_chunked_read(&chunked, (struct slice){in.ptr + used, in.len - used}, &data,
				      &refusal);
		if (n <= 0)
			break;
		used += (size_t)n;
	}
	*ret_offset = used + refusal.offset;
	return n < 0;
}

static void test_row(void **state)
{
	const struct row *row = *state;
	const char *mark = strchr(row->text, '<');
	size_t want = (size_t)(mark - row->text), got;
	char text[256];

	(void)snprintf(text, sizeof(text), "%.*s%s", (int)want, row->text, mark + 1);
	if (!refused_at(row->kind, guard_copy(slice_of(text)), &got))
		fail_msg("not refused");
	if (got != want)
		fail_msg("at %zu, '%.20s', not at %zu, '%.20s'", got, text + got, want,
			 text + want);
}

int main(void)
{
	static struct CMUnitTest tests[COUNT(rows)];

	for (size_t i = 0; i < COUNT(rows); i++)
		tests[i] =
			(struct CMUnitTest){rows[i].name, test_row, NULL, NULL, (void *)&rows[i]};
	return cmocka_run_group_tests_name("offsets", tests, NULL, NULL);
}
