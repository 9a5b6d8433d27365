/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "rig.h"

#include <netinet/tcp.h>

#define GET    "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"
#define GET_10 "GET /a HTTP/1.0\r\n\r\n"
#define CLOSE  "GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
#define OK     "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

/* ---- One request, one answer --------------------------------------------------------------- */

struct answer {
	const char *until;  /* the end of a request as the origin sees it */
	const char *answer; /* what it says then */
	bool stay;	    /* it leaves the connection open */
};

/* Byte by byte: every place where a message can be cut is a place where it is cut. */
static atomic_bool in_bytes;

static void say(int fd, const char *text)
{
	const int on = 1;

	if (!atomic_load(&in_bytes)) {
		rig_say(fd, text);
		return;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	for (; *text && rig_send(fd, text, 1); text++)
		;
}

static void serve_answer(struct origin *origin, int fd, unsigned n)
{
	const struct answer *script = origin->script;
	char text[8192];

	(void)n;
	/* What the proxy began to pass on and gave up is no request. */
	while (rig_read_until(fd, text, sizeof(text), script->until) > 0 &&
	       strstr(text, script->until)) {
		atomic_fetch_add(&origin->requests, 1);
		origin_saw(origin, text);
		say(fd, script->answer);
		if (!script->stay)
			break;
	}
}

struct row {
	const char *name;
	const char *request;
	struct answer origin;
	const char *want;	 /* all of these in the answer, separated by '|' */
	const char *want_not;	 /* none of these */
	const char *origin_want; /* as want, for what the origin saw; NULL: it saw nothing */
	const char *origin_want_not;
	bool by_reads; /* chunks are as the bytes came: not for byte by byte */
};

#define HEAD_END "\r\n\r\n"
#define CHUNKED	 "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

#define EARLY	"HTTP/1.1 103 Early Hints\r\n\r\n"
#define EARLY_8 EARLY EARLY EARLY EARLY EARLY EARLY EARLY EARLY

static const struct row rows[] = {
	{"an answer with a length passes",
	 CLOSE,
	 {HEAD_END, OK, true},
	 "HTTP/1.1 200 OK|Content-Length: 2|Via: 1.1 lbd|Connection: close|\r\n\r\nhi",
	 NULL,
	 "GET /a HTTP/1.1|Host: h|X-Forwarded-For: 127.0.0.1\r\n|X-Forwarded-Proto: http|"
	 "X-Forwarded-Host: h|Via: 1.1 lbd",
	 "Connection|Content-Length",
	 false},
	{"a chunked answer stays chunked",
	 CLOSE,
	 {HEAD_END, CHUNKED "2;x=y\r\nhi\r\n0\r\n\r\n", true},
	 "Transfer-Encoding: chunked|2\r\nhi\r\n0\r\n\r\n",
	 "x=y|Content-Length",
	 "GET /a",
	 NULL,
	 true},
	{"an answer until close is chunked for HTTP/1.1",
	 CLOSE,
	 {HEAD_END, "HTTP/1.1 200 OK\r\n\r\nhello", false},
	 "Transfer-Encoding: chunked|5\r\nhello\r\n0\r\n\r\n",
	 NULL,
	 "GET /a",
	 NULL,
	 true},
	{"a chunked answer goes plain to HTTP/1.0, ended by close",
	 GET_10,
	 {HEAD_END, CHUNKED "2\r\nhi\r\n3\r\nyou\r\n0\r\n\r\n", true},
	 "Connection: close|\r\n\r\nhiyou",
	 "Transfer-Encoding",
	 "GET /a HTTP/1.1|Host: 127.0.0.1:",
	 NULL,
	 false},
	{"HTTP/1.0 with keep-alive is told so",
	 "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" GET_10,
	 {HEAD_END, OK, true},
	 "Connection: keep-alive|hiHTTP/1.1 200|Connection: close",
	 NULL,
	 "GET /a",
	 NULL,
	 false},
	{"HEAD has the length and no body",
	 "HEAD /a HTTP/1.1\r\nHost: h\r\n\r\n" CLOSE,
	 {HEAD_END, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", true},
	 "Content-Length: 0\r\n\r\nHTTP/1.1 200",
	 NULL,
	 "HEAD /a",
	 NULL,
	 false},
	{"204 has no body and no length",
	 CLOSE,
	 {HEAD_END, "HTTP/1.1 204 No Content\r\n\r\n", true},
	 "204 No Content",
	 "Content-Length|chunked",
	 "GET",
	 NULL,
	 false},
	{"304 keeps the length it speaks of",
	 CLOSE,
	 {HEAD_END, "HTTP/1.1 304 Not Modified\r\nContent-Length: 77\r\n\r\n", true},
	 "304|Content-Length: 77",
	 NULL,
	 "GET",
	 NULL,
	 false},
	{"a request body with a length arrives",
	 "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nConnection: close\r\n\r\nworld",
	 {"world", OK, true},
	 "200 OK",
	 NULL,
	 "POST /a|Content-Length: 5|\r\n\r\nworld",
	 "chunked",
	 false},
	{"a chunked request body arrives chunked",
	 "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
	 "3;e\r\nwor\r\n2\r\nld\r\n0\r\n\r\n",
	 {"0\r\n\r\n", OK, true},
	 "200 OK",
	 NULL,
	 "Transfer-Encoding: chunked|3\r\nwor\r\n2\r\nld\r\n0\r\n\r\n",
	 ";e",
	 true},
	{"trailers of a request arrive but those of the head",
	 "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTrailer: T, Host\r\n"
	 "Connection: close\r\n\r\n0\r\nT:x\r\nHost: evil\r\nContent-Length: 3\r\nU: \r\n\r\n",
	 {"U: \r\n\r\n", OK, true},
	 "200 OK",
	 NULL,
	 "Trailer: T, Host\r\n|\r\n\r\n0\r\nT: x\r\nU: \r\n\r\n",
	 "evil|Content-Length",
	 false},
	{"trailers of an answer arrive",
	 "GET /a HTTP/1.1\r\nHost: h\r\nTE: deflate, Trailers\r\nConnection: TE, close\r\n\r\n",
	 {HEAD_END,
	  "HTTP/1.1 200 OK\r\nTrailer: T\r\nTransfer-Encoding: chunked\r\n\r\n"
	  "2\r\nhi\r\n0\r\nT: 1\r\nSet-Cookie: evil\r\nT: 2\r\n\r\n",
	  true},
	 "Trailer: T\r\n|2\r\nhi\r\n0\r\nT: 1\r\nT: 2\r\n\r\n",
	 "evil",
	 "Connection: TE\r\n|TE: trailers\r\n",
	 "deflate",
	 true},
	{"trailers are not for HTTP/1.0",
	 "GET /a HTTP/1.0\r\nTE: trailers\r\n\r\n",
	 {HEAD_END,
	  "HTTP/1.1 200 OK\r\nTrailer: T\r\nTransfer-Encoding: chunked\r\n\r\n"
	  "2\r\nhi\r\n0\r\nT: 1\r\n\r\n",
	  true},
	 "Connection: close|\r\n\r\nhi",
	 "T: 1|Trailer",
	 "GET /a",
	 "TE:",
	 false},
	{"no trailer goes on when Connection may mean one",
	 CLOSE,
	 {HEAD_END,
	  "HTTP/1.1 200 OK\r\nConnection: T\r\nTrailer: T\r\nTransfer-Encoding: chunked\r\n\r\n"
	  "2\r\nhi\r\n0\r\nT: 1\r\n\r\n",
	  true},
	 "2\r\nhi\r\n0\r\n\r\n",
	 "T: 1|Trailer",
	 "GET /a",
	 NULL,
	 true},
	{"a malformed trailer of a request is refused",
	 "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nT : x\r\n\r\n",
	 {"never", OK, true},
	 "HTTP/1.1 400 |Connection: close",
	 "200 OK",
	 NULL,
	 NULL,
	 false},
	{"pipelined requests are answered in order",
	 GET GET CLOSE,
	 {HEAD_END, OK, true},
	 "hiHTTP/1.1 200 OK|hiHTTP/1.1 200 OK|Connection: close",
	 NULL,
	 "GET /a|GET /a|GET /a",
	 NULL,
	 false},
	{"1xx are passed on",
	 CLOSE,
	 {HEAD_END, "HTTP/1.1 103 Early Hints\r\nLink: </s>\r\n\r\n" OK, true},
	 "HTTP/1.1 103|Link: </s>|HTTP/1.1 200 OK",
	 NULL,
	 "GET",
	 NULL,
	 false},
	{"1xx are not for HTTP/1.0",
	 GET_10,
	 {HEAD_END, "HTTP/1.1 100 Continue\r\n\r\n" OK, true},
	 "HTTP/1.1 200 OK",
	 "100",
	 "GET",
	 NULL,
	 false},
	{"headers of the hop end here",
	 "GET /a HTTP/1.1\r\nHost: h\r\nConnection: close, X-Mine\r\nX-Mine: 1\r\nKeep-Alive: 3\r\n"
	 "TE: gzip\r\nX-Yours: 2\r\n\r\n",
	 {HEAD_END,
	  "HTTP/1.1 200 OK\r\nConnection: X-B\r\nX-B: 1\r\nX-C: 2\r\nContent-Length: 0\r\n\r\n",
	  true},
	 "X-C: 2",
	 "X-B",
	 "X-Yours: 2",
	 "X-Mine|Keep-Alive|TE:",
	 false},
	{"what a client says of hops before is replaced",
	 "GET /a HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 9.9.9.9\r\nX-Forwarded-Proto: https\r\n"
	 "X-Forwarded-Host: o\r\nConnection: close\r\n\r\n",
	 {HEAD_END, OK, true},
	 "200",
	 NULL,
	 "X-Forwarded-For: 127.0.0.1\r\n|X-Forwarded-Proto: http\r\n|X-Forwarded-Host: h",
	 "9.9.9.9|X-Forwarded-Host: o",
	 false},
	{"absolute-form decides the host",
	 "GET http://x.org/b HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
	 {HEAD_END, OK, true},
	 "200",
	 NULL,
	 "GET /b HTTP/1.1\r\nHost: x.org",
	 "Host: h",
	 false},
	{"a malformed request is refused and reaches nobody",
	 "GET /a HTTP/1.1\r\nHost : h\r\n\r\n" GET,
	 {HEAD_END, OK, true},
	 "HTTP/1.1 400 |Connection: close",
	 "200",
	 NULL,
	 NULL,
	 false},
	{"a request with two framings is refused",
	 "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: "
	 "chunked\r\n\r\n0\r\n\r\n",
	 {HEAD_END, OK, true},
	 "HTTP/1.1 400 |Connection: close",
	 "200",
	 NULL,
	 NULL,
	 false},
	{"CONNECT is refused",
	 "CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\r\n",
	 {HEAD_END, OK, true},
	 "HTTP/1.1 405 ",
	 "200",
	 NULL,
	 NULL,
	 false},
	{"TRACE is refused",
	 "TRACE / HTTP/1.1\r\nHost: h\r\n\r\n",
	 {HEAD_END, OK, true},
	 "HTTP/1.1 405 |Allow:",
	 "200",
	 NULL,
	 NULL,
	 false},
	{"a malformed response is 502",
	 CLOSE,
	 {HEAD_END, "HTTP/1.1 200 OK\r\nBad Name: x\r\n\r\n", true},
	 "HTTP/1.1 502 ",
	 "Bad Name",
	 "GET",
	 NULL,
	 false},
	{"a response with two framings is 502",
	 CLOSE,
	 {HEAD_END, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
	  true},
	 "HTTP/1.1 502 ",
	 "200 OK",
	 "GET",
	 NULL,
	 false},
	{"no answer at all is 502 after the tries",
	 "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
	 {HEAD_END, "", false},
	 "HTTP/1.1 502 ",
	 NULL,
	 "POST",
	 NULL,
	 false},
	{"an unasked upgrade is 502",
	 CLOSE,
	 {HEAD_END, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
	  true},
	 "HTTP/1.1 502 ",
	 "101",
	 "GET",
	 NULL,
	 false},
	{"h2c is not passed on",
	 "GET /a HTTP/1.1\r\nHost: h\r\nConnection: close, upgrade, HTTP2-Settings\r\nUpgrade: "
	 "h2c\r\n"
	 "HTTP2-Settings: AA\r\n\r\n",
	 {HEAD_END, OK, true},
	 "200 OK",
	 NULL,
	 "GET",
	 "h2c|HTTP2|pgrade",
	 false},
	{"an expectation is passed on",
	 "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n"
	 "Connection: close\r\n\r\nhi",
	 {"\r\n\r\nhi", "HTTP/1.1 100 Continue\r\n\r\n" OK, true},
	 "HTTP/1.1 100 |HTTP/1.1 200",
	 NULL,
	 "Expect: 100-continue",
	 NULL,
	 false},
	{"a backend that never comes to the point is 502",
	 CLOSE,
	 {HEAD_END, EARLY_8 EARLY_8 EARLY_8 EARLY_8 EARLY OK, true},
	 "HTTP/1.1 103|HTTP/1.1 502 ",
	 "200 OK",
	 "GET",
	 NULL,
	 false},
};

/* Every part of <parts> is found in <text>, each after the one before. */
static void check_parts(const char *name, const char *text, const char *parts, bool there)
{
	char copy[1024], *rest = copy, *part;
	const char *at = text;

	if (!parts)
		return;
	snprintf(copy, sizeof(copy), "%s", parts);
	while ((part = strsep(&rest, "|"))) {
		const char *found = strstr(there ? at : text, part);

		if (there && !found && strstr(text, part))
			found = strstr(text, part); /* header order is not promised */
		if (there && !found)
			fail_msg("%s: no '%s' in:\n%s", name, part, text);
		if (!there && found)
			fail_msg("%s: '%s' in:\n%s", name, part, text);
		if (found)
			at = found + strlen(part);
	}
}

static void check_rows(void)
{
	static char text[RIG_TEXT];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = &rows[i];
		struct rig *rig;
		int fd;

		if (row->by_reads && atomic_load(&in_bytes))
			continue;
		rig = rig_new(serve_answer, &row->origin);
		rig_begin(rig);
		fd = rig_connect(&rig->addr);
		say(fd, row->request);
		if (rig_read_until(fd, text, sizeof(text), NULL) < 0)
			fail_msg("%s: reset or no end", row->name);
		check_parts(row->name, text, row->want, true);
		check_parts(row->name, text, row->want_not, false);
		close(fd);
		proxy_free(rig->proxy);
		rig->proxy = NULL;
		origin_stop(&rig->origin);
		rig->origin.serve = NULL;
		if (!row->origin_want && rig->origin.seen[0])
			fail_msg("%s: the origin saw:\n%s", row->name, rig->origin.seen);
		check_parts(row->name, rig->origin.seen, row->origin_want, true);
		check_parts(row->name, rig->origin.seen, row->origin_want_not, false);
		rig_free(rig);
	}
}

static void requests_and_answers(void **state)
{
	(void)state;
	check_rows();
}

static void requests_and_answers_byte_by_byte(void **state)
{
	(void)state;
	atomic_store(&in_bytes, true);
	check_rows();
	atomic_store(&in_bytes, false);
}

/* ---- Keep-alive ---------------------------------------------------------------------------- */

static const struct answer keep = {HEAD_END, OK, true};

static void one_backend_connection_serves_many_requests(void **state)
{
	struct rig *rig = rig_new(serve_answer, &keep);
	struct proxy_stats stats;
	char text[4096];
	int fd;

	(void)state;
	rig_begin(rig);
	fd = rig_connect(&rig->addr);
	for (int i = 0; i < 50; i++) {
		rig_say(fd, GET);
		assert_true(rig_read_until(fd, text, sizeof(text), "\r\n\r\nhi") > 0);
		assert_non_null(strstr(text, "200 OK"));
		assert_null(strstr(text, "Connection:"));
	}
	close(fd);
	assert_int_equal(atomic_load(&rig->origin.n_conns), 1);
	assert_int_equal(atomic_load(&rig->origin.requests), 50);
	proxy_stats(rig->proxy, RIG_SERVICE, &stats);
	assert_int_equal(stats.requests, 50);
	assert_int_equal(stats.status[2], 50);
	assert_int_equal(stats.opened, 1);
	assert_int_equal(stats.bytes_in, 50 * strlen(GET));
	assert_true(rig_read(&rig->live[0].proxy_bytes_in) > 0 &&
		    rig_read(&rig->live[0].proxy_bytes_out) > 0);
	assert_true(rig_read(&rig->live[0].latency_us) > 0);
	rig_free(rig);
}

/* Answers one request per connection without saying that it closes after it. */
static void serve_once(struct origin *origin, int fd, unsigned n)
{
	char text[4096];

	(void)n;
	if (rig_read_until(fd, text, sizeof(text), HEAD_END) <= 0)
		return;
	atomic_fetch_add(&origin->requests, 1);
	rig_say(fd, OK);
}

static void a_dead_idle_connection_costs_no_request(void **state)
{
	struct rig *rig = rig_new(serve_once, NULL);
	char text[4096];
	int fd;

	(void)state;
	rig_begin(rig);
	fd = rig_connect(&rig->addr);
	for (int i = 0; i < 50; i++) {
		rig_say(fd, GET);
		assert_true(rig_read_until(fd, text, sizeof(text), "\r\n\r\nhi") > 0);
		assert_non_null(strstr(text, "200 OK"));
	}
	close(fd);
	assert_int_equal(rig_read(&rig->live[0].proxy_failed), 0);
	rig_free(rig);
}

/* The first connection answers once, takes a second request and closes on it. */
static void serve_then_hang_up(struct origin *origin, int fd, unsigned n)
{
	char text[4096];

	while (rig_read_until(fd, text, sizeof(text), HEAD_END) > 0) {
		atomic_fetch_add(&origin->requests, 1);
		if (n == 0 && strstr(text, "/second"))
			return;
		rig_say(fd, OK);
	}
}

static void a_reused_connection_that_closes_is_replaced_only_for_idempotent_requests(void **state)
{
	static const struct {
		const char *second;
		const char *want;
		unsigned requests;
	} cases[] = {
		{"GET /second HTTP/1.1\r\nHost: h\r\n\r\n", "200 OK", 3},
		{"POST /second HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", "502", 2},
	};
	char text[4096];

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct rig *rig = rig_new(serve_then_hang_up, NULL);
		int fd;

		rig_begin(rig);
		fd = rig_connect(&rig->addr);
		rig_say(fd, GET);
		assert_true(rig_read_until(fd, text, sizeof(text), "\r\n\r\nhi") > 0);
		rig_say(fd, cases[i].second);
		assert_true(rig_read_until(fd, text, sizeof(text), HEAD_END) > 0);
		assert_non_null(strstr(text, cases[i].want));
		assert_int_equal(atomic_load(&rig->origin.requests), cases[i].requests);
		close(fd);
		rig_free(rig);
	}
}

static void a_client_that_closes_its_half_after_asking_is_answered(void **state)
{
	struct rig *rig = rig_new(serve_answer, &keep);
	char text[4096];
	int fd;

	(void)state;
	rig_begin(rig);
	fd = rig_connect(&rig->addr);
	rig_say(fd, GET GET CLOSE);
	shutdown(fd, SHUT_WR);
	assert_true(rig_read_until(fd, text, sizeof(text), NULL) > 0);
	assert_int_equal(atomic_load(&rig->origin.requests), 3);
	assert_non_null(strstr(text, "Connection: close"));
	close(fd);
	rig_free(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_and_answers),
		cmocka_unit_test(requests_and_answers_byte_by_byte),
		cmocka_unit_test(a_client_that_closes_its_half_after_asking_is_answered),
		cmocka_unit_test(one_backend_connection_serves_many_requests),
		cmocka_unit_test(a_dead_idle_connection_costs_no_request),
		cmocka_unit_test(
			a_reused_connection_that_closes_is_replaced_only_for_idempotent_requests),
	};

	return cmocka_run_group_tests_name("exchange", tests, NULL, NULL);
}
