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
	unsigned status; /* 0: accepted */
	const char *reason;
	/* Of accepted ones. */
	const char *target;
	const char *authority;
	enum http_framing framing;
	uint64_t length;
	bool close;
	bool expect;
	bool upgrade;
	const char *hop;  /* a header that must be hop-by-hop */
	const char *kept; /* ... must not be */
};

#define HEAD(text) SLICE("GET / HTTP/1.1\r\nHost: a\r\n" text "\r\n")
#define POST(text) SLICE("POST / HTTP/1.1\r\nHost: a\r\n" text "\r\n")
#define REFUSE(what, text, code, word) \
	{ \
		.name = (what), .in = text, .status = (code), .reason = (word) \
	}

static const struct row rows[] = {
	/* Framing: what makes request smuggling. */
	REFUSE("length and chunked together",
	       POST("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n"), 400,
	       "length_and_transfer_encoding"),
	REFUSE("chunked and length together",
	       POST("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n"), 400,
	       "length_and_transfer_encoding"),
	REFUSE("chunked in two fields",
	       POST("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), 400,
	       "duplicate_transfer_encoding"),
	REFUSE("chunked field and identity field",
	       POST("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n"), 400,
	       "duplicate_transfer_encoding"),
	REFUSE("chunked twice in one field", POST("Transfer-Encoding: chunked, chunked\r\n"), 400,
	       "bad_transfer_encoding"),
	REFUSE("chunked is not the last coding", POST("Transfer-Encoding: chunked, identity\r\n"),
	       400, "bad_transfer_encoding"),
	REFUSE("an unknown coding", POST("Transfer-Encoding: xchunked\r\n"), 501,
	       "unknown_transfer_encoding"),
	REFUSE("identity is no coding any more", POST("Transfer-Encoding: identity\r\n"), 501,
	       "unknown_transfer_encoding"),
	REFUSE("gzip under chunked", POST("Transfer-Encoding: gzip, chunked\r\n"), 501,
	       "unknown_transfer_encoding"),
	REFUSE("an empty element before chunked", POST("Transfer-Encoding: ,chunked\r\n"), 400,
	       "bad_transfer_encoding"),
	REFUSE("an empty element after chunked", POST("Transfer-Encoding: chunked,\r\n"), 400,
	       "bad_transfer_encoding"),
	REFUSE("an empty transfer encoding", POST("Transfer-Encoding:\r\n"), 400,
	       "bad_transfer_encoding"),
	REFUSE("chunked with a parameter", POST("Transfer-Encoding: chunked;q=1\r\n"), 400,
	       "bad_transfer_encoding"),
	REFUSE("chunked in quotes", POST("Transfer-Encoding: \"chunked\"\r\n"), 400,
	       "bad_transfer_encoding"),
	REFUSE("chunked after a vertical tab",
	       POST("Transfer-Encoding: \x0b"
		    "chunked\r\n"),
	       400, "bad_header_value"),
	REFUSE("chunked after a form feed",
	       POST("Transfer-Encoding: \x0c"
		    "chunked\r\n"),
	       400, "bad_header_value"),
	REFUSE("chunked before a NUL", POST("Transfer-Encoding: chunked\0\r\n"), 400,
	       "bad_header_value"),
	REFUSE("chunked before a stray byte", POST("Transfer-Encoding: chunked\xa0\r\n"), 400,
	       "bad_transfer_encoding"),
	REFUSE("a space before the colon", POST("Transfer-Encoding : chunked\r\n"), 400,
	       "space_before_colon"),
	REFUSE("a tab before the colon", POST("Content-Length\t: 3\r\n"), 400,
	       "space_before_colon"),
	REFUSE("a folded transfer encoding", POST("Transfer-Encoding:\r\n chunked\r\n"), 400,
	       "folded_line"),
	REFUSE("a folded value", HEAD("X: a\r\n\tb: c\r\n"), 400, "folded_line"),
	REFUSE("chunked in HTTP/1.0",
	       SLICE("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"), 400,
	       "transfer_encoding_in_1_0"),
	REFUSE("two lengths that differ", POST("Content-Length: 2\r\nContent-Length: 3\r\n"), 400,
	       "duplicate_content_length"),
	REFUSE("two lengths that are equal", POST("Content-Length: 2\r\nContent-Length: 2\r\n"),
	       400, "duplicate_content_length"),
	REFUSE("a list of lengths that differ", POST("Content-Length: 2, 3\r\n"), 400,
	       "bad_content_length"),
	REFUSE("a list of lengths that are equal", POST("Content-Length: 2, 2\r\n"), 400,
	       "bad_content_length"),
	REFUSE("a length with plus", POST("Content-Length: +2\r\n"), 400, "bad_content_length"),
	REFUSE("a length with minus", POST("Content-Length: -1\r\n"), 400, "bad_content_length"),
	REFUSE("a length in hexadecimal", POST("Content-Length: 0x2\r\n"), 400,
	       "bad_content_length"),
	REFUSE("a length in two words", POST("Content-Length: 2 2\r\n"), 400, "bad_content_length"),
	REFUSE("a length with an underscore", POST("Content-Length: 1_0\r\n"), 400,
	       "bad_content_length"),
	REFUSE("an empty length", POST("Content-Length:\r\n"), 400, "bad_content_length"),
	REFUSE("a length of spaces", POST("Content-Length:  \t \r\n"), 400, "bad_content_length"),
	REFUSE("a length of 2^64 + 2", POST("Content-Length: 18446744073709551618\r\n"), 400,
	       "bad_content_length"),
	REFUSE("a length of 2^63", POST("Content-Length: 9223372036854775808\r\n"), 400,
	       "bad_content_length"),
	REFUSE("a length with a decimal point", POST("Content-Length: 2.0\r\n"), 400,
	       "bad_content_length"),

	/* Line ends and bytes. */
	REFUSE("a bare LF after the request line", SLICE("GET / HTTP/1.1\nHost: a\r\n\r\n"), 400,
	       "bad_request_line"),
	REFUSE("a bare LF after a field", SLICE("GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n"), 400,
	       "bad_header_value"),
	REFUSE("a bare LF at the end", SLICE("GET / HTTP/1.1\r\nHost: a\r\n\n"), 400,
	       "bad_header_name"),
	REFUSE("a bare CR in a value", HEAD("X: a\rb\r\n"), 400, "bad_header_value"),
	REFUSE("a bare CR at the end", SLICE("GET / HTTP/1.1\r\nHost: a\r\n\rX"), 400,
	       "bad_line_end"),
	REFUSE("CR CR LF", HEAD("X: a\r\r\n"), 400, "bad_header_value"),
	REFUSE("a NUL in a value", HEAD("X: a\0b\r\n"), 400, "bad_header_value"),
	REFUSE("a control in a value",
	       HEAD("X: a\x01"
		    "b\r\n"),
	       400, "bad_header_value"),
	REFUSE("a DEL in a value", HEAD("X: abcdefghijklmnopq\x7f\r\n"), 400, "bad_header_value"),
	REFUSE("a NUL in a name", HEAD("X\0Y: a\r\n"), 400, "bad_header_name"),
	REFUSE("a space in a name", HEAD("X Y: a\r\n"), 400, "space_before_colon"),
	REFUSE("an 8-bit name", HEAD("X\xe4: a\r\n"), 400, "bad_header_name"),
	REFUSE("an empty name", HEAD(": a\r\n"), 400, "bad_header_name"),
	REFUSE("a line without a colon", HEAD("novalue\r\n"), 400, "bad_header_name"),
	REFUSE("a delimiter in a name", HEAD("X(Y): a\r\n"), 400, "bad_header_name"),
	REFUSE("a space before the first field", SLICE("GET / HTTP/1.1\r\n Host: a\r\n\r\n"), 400,
	       "folded_line"),

	/* Host and target. */
	REFUSE("no Host", SLICE("GET / HTTP/1.1\r\nX: a\r\n\r\n"), 400, "no_host"),
	REFUSE("two Hosts", HEAD("Host: b\r\n"), 400, "duplicate_host"),
	REFUSE("two equal Hosts", HEAD("host: a\r\n"), 400, "duplicate_host"),
	REFUSE("a path in Host", SLICE("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"), 400, "bad_host"),
	REFUSE("a user in Host", SLICE("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n"), 400, "bad_host"),
	REFUSE("an empty Host", SLICE("GET / HTTP/1.1\r\nHost: \r\n\r\n"), 400, "bad_host"),
	REFUSE("two hosts in one Host", SLICE("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"), 400,
	       "bad_host"),
	REFUSE("a comma in Host", SLICE("GET / HTTP/1.1\r\nHost: a,b\r\n\r\n"), 400, "bad_host"),
	REFUSE("a port that is no number", SLICE("GET / HTTP/1.1\r\nHost: a:8x\r\n\r\n"), 400,
	       "bad_host"),
	REFUSE("a port above 65535", SLICE("GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n"), 400,
	       "bad_host"),
	REFUSE("only a port", SLICE("GET / HTTP/1.1\r\nHost: :80\r\n\r\n"), 400, "bad_host"),
	REFUSE("an open bracket", SLICE("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n"), 400, "bad_host"),
	REFUSE("empty brackets", SLICE("GET / HTTP/1.1\r\nHost: []\r\n\r\n"), 400, "bad_host"),
	REFUSE("text after a bracket", SLICE("GET / HTTP/1.1\r\nHost: [::1]x\r\n\r\n"), 400,
	       "bad_host"),
	REFUSE("a bad escape in Host", SLICE("GET / HTTP/1.1\r\nHost: a%4\r\n\r\n"), 400,
	       "bad_host"),
	REFUSE("https in a plain request", SLICE("GET https://a/ HTTP/1.1\r\nHost: a\r\n\r\n"), 400,
	       "bad_target"),
	REFUSE("another scheme", SLICE("GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n"), 400,
	       "bad_target"),
	REFUSE("a user in absolute-form", SLICE("GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n"), 400,
	       "bad_authority"),
	REFUSE("absolute-form without a host", SLICE("GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n"),
	       400, "bad_authority"),
	REFUSE("absolute-form with a query and no host",
	       SLICE("GET http://?x HTTP/1.1\r\nHost: a\r\n\r\n"), 400, "bad_authority"),
	REFUSE("Max-Forwards that is no number",
	       SLICE("OPTIONS / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 1x\r\n\r\n"), 400,
	       "bad_max_forwards"),
	REFUSE("Max-Forwards twice",
	       SLICE("OPTIONS / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 1\r\nMax-Forwards: 1\r\n"
		     "\r\n"),
	       400, "duplicate_max_forwards"),
	REFUSE("absolute-form without Host", SLICE("GET http://a/ HTTP/1.1\r\n\r\n"), 400,
	       "no_host"),
	REFUSE("absolute-form with a bad Host",
	       SLICE("GET http://a/ HTTP/1.1\r\nHost: b/c\r\n\r\n"), 400, "bad_host"),
	REFUSE("GET of asterisk", SLICE("GET * HTTP/1.1\r\nHost: a\r\n\r\n"), 400, "bad_target"),
	REFUSE("a target without a slash", SLICE("GET x HTTP/1.1\r\nHost: a\r\n\r\n"), 400,
	       "bad_target"),
	REFUSE("a NUL in the target", SLICE("GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n"), 400,
	       "bad_target"),
	REFUSE("a fragment in the target", SLICE("GET /#a HTTP/1.1\r\nHost: a\r\n\r\n"), 400,
	       "bad_target"),
	REFUSE("an 8-bit target", SLICE("GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n"), 400,
	       "bad_target"),

	/* The request line. */
	REFUSE("two spaces after the method", SLICE("GET  / HTTP/1.1\r\nHost: a\r\n\r\n"), 400,
	       "bad_target"),
	REFUSE("two spaces before the version", SLICE("GET /  HTTP/1.1\r\nHost: a\r\n\r\n"), 400,
	       "bad_version"),
	REFUSE("a tab for a space", SLICE("GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n"), 400, "bad_method"),
	REFUSE("a space after the version", SLICE("GET / HTTP/1.1 \r\nHost: a\r\n\r\n"), 400,
	       "bad_request_line"),
	REFUSE("a space before the method", SLICE(" GET / HTTP/1.1\r\nHost: a\r\n\r\n"), 400,
	       "bad_method"),
	REFUSE("a control in the method", SLICE("G\x01T / HTTP/1.1\r\nHost: a\r\n\r\n"), 400,
	       "bad_method"),
	REFUSE("a TLS hello", SLICE("\x16\x03\x01\x02\x00\x01"), 400, "bad_method"),
	REFUSE("too long a method",
	       SLICE("ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJKLM / "
		     "HTTP/1.1\r\n"),
	       501, "method_too_long"),
	REFUSE("CONNECT", SLICE("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"), 405,
	       "method_not_allowed"),
	REFUSE("TRACE", SLICE("TRACE / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n"), 405,
	       "method_not_allowed"),
	REFUSE("HTTP/2.0", SLICE("GET / HTTP/2.0\r\nHost: a\r\n\r\n"), 505,
	       "version_not_supported"),
	REFUSE("the HTTP/2 preface", SLICE("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 400, "bad_target"),
	REFUSE("http in lower case", SLICE("GET / http/1.1\r\nHost: a\r\n\r\n"), 400,
	       "bad_version"),
	REFUSE("HTTP/0.9 by name", SLICE("GET / HTTP/0.9\r\nHost: a\r\n\r\n"), 400,
	       "version_not_supported"),
	REFUSE("HTTP/0.9 by form", SLICE("GET /\r\n\r\n"), 400, "bad_target"),
	REFUSE("two digits of minor version", SLICE("GET / HTTP/1.10\r\nHost: a\r\n\r\n"), 400,
	       "bad_request_line"),
	REFUSE("a version without a digit", SLICE("GET / HTTP/1.x\r\nHost: a\r\n\r\n"), 400,
	       "bad_version"),
	REFUSE("five empty lines", SLICE("\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
	       400, "empty_lines"),
	REFUSE("an empty line of LF", SLICE("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), 400,
	       "bad_method"),

	REFUSE("an unknown expectation", POST("Expect: magic\r\nContent-Length: 1\r\n"), 417,
	       "unknown_expectation"),
	REFUSE("two expectations", POST("Expect: 100-continue, x\r\nContent-Length: 1\r\n"), 417,
	       "unknown_expectation"),
	REFUSE("a Connection option that is no token", HEAD("Connection: close;x\r\n"), 400,
	       "bad_connection"),
	REFUSE("too many Connection options",
	       HEAD("Connection: "
		    "a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q,r,s,t,u,v,w,x,y,z,1,2,3,4,5,6,7\r\n"),
	       400, "too_many_options"),

	/* Accepted. */
	{.name = "a plain request", .in = HEAD(""), .target = "/", .authority = "a"},
	{.name = "bytes of the next request stay",
	 .in = SLICE("GET /x?y HTTP/1.1\r\nHost: a\r\n\r\nGET"),
	 .target = "/x?y",
	 .authority = "a"},
	{.name = "empty lines before a request",
	 .in = SLICE("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
	 .target = "/",
	 .authority = "a"},
	{.name = "a length",
	 .in = POST("Content-Length: 5\r\n"),
	 .target = "/",
	 .authority = "a",
	 .framing = HTTP_BODY_LENGTH,
	 .length = 5},
	{.name = "a length with leading zeros",
	 .in = POST("Content-Length: 002\r\n"),
	 .target = "/",
	 .authority = "a",
	 .framing = HTTP_BODY_LENGTH,
	 .length = 2},
	{.name = "the largest length",
	 .in = POST("Content-Length:\t9223372036854775807 \r\n"),
	 .target = "/",
	 .authority = "a",
	 .framing = HTTP_BODY_LENGTH,
	 .length = INT64_MAX},
	{.name = "chunked in any case",
	 .in = POST("transfer-ENCODING: \tChunKed \r\n"),
	 .target = "/",
	 .authority = "a",
	 .framing = HTTP_BODY_CHUNKED},
	{.name = "HTTP/1.2 is 1.1",
	 .in = SLICE("GET / HTTP/1.2\r\nHost: a\r\n\r\n"),
	 .target = "/",
	 .authority = "a"},
	{.name = "HTTP/1.0 without Host closes",
	 .in = SLICE("GET / HTTP/1.0\r\n\r\n"),
	 .target = "/",
	 .authority = "",
	 .close = true},
	{.name = "HTTP/1.0 with keep-alive stays",
	 .in = SLICE("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"),
	 .target = "/",
	 .authority = ""},
	{.name = "close",
	 .in = HEAD("Connection: Close\r\n"),
	 .target = "/",
	 .authority = "a",
	 .close = true},
	{.name = "close wins over keep-alive",
	 .in = HEAD("Connection: keep-alive\r\nConnection: x , close\r\n"),
	 .target = "/",
	 .authority = "a",
	 .close = true},
	{.name = "empty elements of Connection mean nothing",
	 .in = HEAD("Connection: , ,\r\n"),
	 .target = "/",
	 .authority = "a"},
	{.name = "Connection takes what it lists",
	 .in = HEAD("Connection: x-foo\r\nX-Foo: 1\r\nX-Bar: 2\r\n"),
	 .target = "/",
	 .authority = "a",
	 .hop = "X-Foo",
	 .kept = "X-Bar"},
	{.name = "Connection does not take Host",
	 .in = HEAD("Connection: host\r\n"),
	 .target = "/",
	 .authority = "a",
	 .kept = "Host"},
	{.name = "Connection does not take the length",
	 .in = POST("Connection: Content-Length\r\nContent-Length: 3\r\n"),
	 .target = "/",
	 .authority = "a",
	 .framing = HTTP_BODY_LENGTH,
	 .length = 3,
	 .kept = "Content-Length"},
	{.name = "Connection does not take X-Forwarded-For",
	 .in = HEAD("Connection: X-Forwarded-For\r\nX-Forwarded-For: 1\r\n"),
	 .target = "/",
	 .authority = "a",
	 .kept = "X-Forwarded-For"},
	{.name = "Keep-Alive is hop-by-hop",
	 .in = HEAD("Keep-Alive: 5\r\n"),
	 .target = "/",
	 .authority = "a",
	 .hop = "Keep-Alive"},
	{.name = "Proxy-Connection is hop-by-hop",
	 .in = HEAD("Proxy-Connection: close\r\n"),
	 .target = "/",
	 .authority = "a",
	 .hop = "Proxy-Connection"},
	{.name = "Proxy-Authorization is hop-by-hop",
	 .in = HEAD("Proxy-Authorization: x\r\n"),
	 .target = "/",
	 .authority = "a",
	 .hop = "Proxy-Authorization"},
	{.name = "TE is hop-by-hop",
	 .in = HEAD("TE: trailers\r\n"),
	 .target = "/",
	 .authority = "a",
	 .hop = "TE"},
	{.name = "Trailer is for all recipients",
	 .in = HEAD("Trailer: x\r\n"),
	 .target = "/",
	 .authority = "a",
	 .kept = "Trailer"},
	{.name = "a WebSocket upgrade",
	 .in = HEAD("Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"),
	 .target = "/",
	 .authority = "a",
	 .upgrade = true,
	 .hop = "Upgrade"},
	{.name = "h2c is not an upgrade",
	 .in = HEAD("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n"),
	 .target = "/",
	 .authority = "a",
	 .hop = "HTTP2-Settings"},
	{.name = "h2c in a list is not an upgrade",
	 .in = HEAD("Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n"),
	 .target = "/",
	 .authority = "a",
	 .hop = "Upgrade"},
	{.name = "Upgrade without Connection is none",
	 .in = HEAD("Upgrade: websocket\r\n"),
	 .target = "/",
	 .authority = "a",
	 .hop = "Upgrade"},
	{.name = "an expectation with a body",
	 .in = POST("Expect: 100-Continue\r\nContent-Length: 1\r\n"),
	 .target = "/",
	 .authority = "a",
	 .framing = HTTP_BODY_LENGTH,
	 .length = 1,
	 .expect = true},
	{.name = "an expectation without a body",
	 .in = HEAD("Expect: 100-continue\r\n"),
	 .target = "/",
	 .authority = "a"},
	{.name = "HTTP/1.0 expects nothing",
	 .in = SLICE("POST / HTTP/1.0\r\nExpect: x\r\nContent-Length: 1\r\n\r\n"),
	 .target = "/",
	 .authority = "",
	 .framing = HTTP_BODY_LENGTH,
	 .length = 1,
	 .close = true},
	{.name = "absolute-form wins over Host",
	 .in = SLICE("GET HTTP://b:81/x?y HTTP/1.1\r\nHost: a\r\n\r\n"),
	 .target = "/x?y",
	 .authority = "b:81"},
	{.name = "absolute-form without a path",
	 .in = SLICE("GET http://b HTTP/1.1\r\nHost: a\r\n\r\n"),
	 .target = "/",
	 .authority = "b"},
	{.name = "absolute-form with a query and no path",
	 .in = SLICE("GET http://b?x/y HTTP/1.1\r\nHost: a\r\n\r\n"),
	 .target = "?x/y",
	 .authority = "b"},
	{.name = "Max-Forwards of another method",
	 .in = HEAD("Max-Forwards: x\r\nMax-Forwards: y\r\n"),
	 .target = "/",
	 .authority = "a"},
	{.name = "OPTIONS of asterisk",
	 .in = SLICE("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"),
	 .target = "*",
	 .authority = "a"},
	{.name = "OPTIONS of a whole server",
	 .in = SLICE("OPTIONS http://b HTTP/1.1\r\nHost: a\r\n\r\n"),
	 .target = "*",
	 .authority = "b"},
	{.name = "an IPv6 Host",
	 .in = SLICE("GET / HTTP/1.1\r\nHost: [fd00::1]:80\r\n\r\n"),
	 .target = "/",
	 .authority = "[fd00::1]:80"},
	{.name = "a Host with an empty port",
	 .in = SLICE("GET / HTTP/1.1\r\nHost: a:\r\n\r\n"),
	 .target = "/",
	 .authority = "a:"},
	{.name = "a Host with an escape",
	 .in = SLICE("GET / HTTP/1.1\r\nHost: a%2eb\r\n\r\n"),
	 .target = "/",
	 .authority = "a%2eb"},
	{.name = "an unknown method",
	 .in = SLICE("BREW /pot HTTP/1.1\r\nHost: a\r\n\r\n"),
	 .target = "/pot",
	 .authority = "a"},
	{.name = "an empty and an 8-bit value",
	 .in = HEAD("X:\r\nY: \xc3\xa4\t!\r\n"),
	 .target = "/",
	 .authority = "a"},
	{.name = "browsers' loose queries",
	 .in = SLICE("GET /?a=<|>{^}\"`\\ HTTP/1.1\r\nHost: a\r\n\r\n"),
	 .target = "/?a=<|>{^}\"`\\",
	 .authority = "a"},
};

static bool is_hop(const struct http_head *head, const char *name)
{
	for (unsigned i = 0; i < head->n_headers; i++) {
		if (slice_caseeq(head->headers[i].name, slice_of(name)))
			return head->headers[i].hop;
	}
	fail_msg("no header '%s'", name);
	return false;
}

static void assert_slice(struct slice got, const char *expected)
{
	if (!slice_eq(got, slice_of(expected)))
		fail_msg("'%.*s' is not '%s'", SLICE_ARG(got), expected);
}

static void assert_head(const struct row *row, const struct http_head *head)
{
	assert_slice(head->target, row->target);
	assert_slice(head->authority, row->authority);
	if (http_find(head, HTTP_H_HOST))
		assert_slice(http_find(head, HTTP_H_HOST)->value, row->authority);
	assert_int_equal(head->framing, row->framing);
	assert_int_equal(head->content_length, row->length);
	assert_int_equal(head->keep_alive, !row->close);
	assert_int_equal(head->expect_continue, row->expect);
	assert_int_equal(head->upgrade, row->upgrade);
	if (row->hop)
		assert_true(is_hop(head, row->hop));
	if (row->kept)
		assert_false(is_hop(head, row->kept));
}

static void assert_refusal(const struct row *row, const struct http_refusal *refusal, size_t len)
{
	assert_string_equal(refusal->reason, row->reason);
	assert_int_equal(refusal->status, row->status);
	assert_in_range(refusal->offset, 0, len);
}

static void test_row(void **state)
{
	const struct row *row = *state;
	struct http_refusal refusal = {0};
	struct http_head head;
	ssize_t whole = http_parse_request(guard_copy(row->in), &head, &refusal);

	if (row->status) {
		assert_int_equal(whole, -EBADMSG);
		assert_refusal(row, &refusal, row->in.len);
	} else {
		if (whole < 0)
			fail_msg("refused: %u %s", refusal.status, refusal.reason);
		assert_in_range(whole, 1, row->in.len);
		assert_head(row, &head);
	}
	for (size_t len = 0, refused = 0; len < row->in.len; len++) {
		ssize_t got = http_parse_request(guard_copy((struct slice){row->in.ptr, len}),
						 &head, &refusal);

		if (row->status && (got < 0 || refused)) {
			assert_int_equal(got, -EBADMSG);
			assert_refusal(row, &refusal, len);
			refused = 1;
		} else {
			assert_int_equal(got, whole > 0 && len >= (size_t)whole ? whole : 0);
		}
	}
}

int main(void)
{
	static struct CMUnitTest tests[COUNT(rows)];

	for (size_t i = 0; i < COUNT(rows); i++)
		tests[i] =
			(struct CMUnitTest){rows[i].name, test_row, NULL, NULL, (void *)&rows[i]};
	return cmocka_run_group_tests_name("requests", tests, NULL, NULL);
}
