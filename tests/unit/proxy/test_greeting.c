/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "rig.h"

#include <netinet/tcp.h>

#include "proxy/session.h"
#include "proxy/worker.h"

#define V1   "PROXY TCP4 10.1.2.3 192.0.2.9 56789 443\r\n"
#define SIGN "\r\n\r\n\0\r\nQUIT\n"
#define V2   SIGN "\x21\x11\0\x0c\x0a\x01\x02\x03\xc0\x00\x02\x09\xdd\xd5\x01\xbb"

/* Speaks first, then shows all it was sent. */
static void serve_banner(struct origin *origin, int fd, unsigned n)
{
	static _Thread_local char text[RIG_TEXT];

	(void)origin;
	(void)n;
	rig_say(fd, "220 ");
	if (rig_read_until(fd, text, sizeof(text), "done") > 0)
		rig_say(fd, text);
}

static void serve_echo(struct origin *origin, int fd, unsigned n)
{
	static _Thread_local char text[RIG_TEXT];
	ssize_t len;

	(void)origin;
	(void)n;
	while ((len = recv(fd, text, sizeof(text), 0)) > 0)
		if (!rig_send(fd, text, (size_t)len))
			break;
}

/* One answer that holds the head, and leaves the connection open. */
static void serve_head(struct origin *origin, int fd, unsigned n)
{
	static _Thread_local char text[RIG_TEXT], answer[RIG_TEXT + 128];

	(void)n;
	while (rig_read_until(fd, text, sizeof(text), "\r\n\r\n") > 0) {
		atomic_fetch_add(&origin->requests, 1);
		snprintf(answer, sizeof(answer), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s",
			 strlen(text), text);
		rig_say(fd, answer);
	}
}

static struct rig *greeting_rig(enum service_protocol protocol, struct proxy_protocol_spec spec,
				void (*serve)(struct origin *, int, unsigned))
{
	struct rig *rig = rig_new(serve, NULL);

	rig->protocol = protocol;
	rig->proxy_protocol = spec;
	rig_begin(rig);
	return rig;
}

static uint64_t bad_headers(struct rig *rig)
{
	struct proxy_stats stats;

	proxy_stats(rig->proxy, RIG_SERVICE, &stats);
	return stats.bad_headers;
}

#define ACCEPT \
	(struct proxy_protocol_spec) \
	{ \
		.accept = true \
	}

static void expect_answer(int fd, const char *until, const char *what)
{
	static char text[RIG_TEXT];
	ssize_t len = rig_read_until(fd, text, sizeof(text), until);

	if (len <= 0 || !strstr(text, until))
		fail_msg("%s: expected '%s' in the answer, got %zd bytes: '%s'", what, until, len,
			 text);
}

struct taken {
	const char *name;
	const char *header;
	size_t len;
};

#define BYTES(literal) literal, sizeof(literal) - 1

static const struct taken headers[] = {
	{"v1", BYTES(V1)},
	{"v1, unknown", BYTES("PROXY UNKNOWN\r\n")},
	{"v2", BYTES(V2)},
	{"v2, local", BYTES(SIGN "\x20\0\0\0")},
};

static void a_header_is_taken_off_a_relayed_connection(void **state)
{
	struct rig *rig = greeting_rig(PROTOCOL_TCP, ACCEPT, serve_echo);

	(void)state;
	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
		int fd = rig_connect(&rig->addr);
		char text[64];

		rig_send(fd, headers[i].header, headers[i].len);
		rig_say(fd, "ping");
		if (rig_read_until(fd, text, sizeof(text), "ping") != 4)
			fail_msg("'%s': expected 'ping', got '%s'", headers[i].name, text);
		close(fd);
	}
	assert_int_equal(bad_headers(rig), 0);
	rig_free(rig);
}

static void a_header_in_many_pieces_is_taken_too(void **state)
{
	struct rig *rig = greeting_rig(PROTOCOL_TCP, ACCEPT, serve_echo);
	int one = 1, fd = rig_connect(&rig->addr);
	char text[64];

	(void)state;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	for (size_t i = 0; i < sizeof(V1) - 1; i++)
		assert_true(rig_send(fd, &V1[i], 1));
	rig_say(fd, "ping");
	assert_int_equal(rig_read_until(fd, text, sizeof(text), "ping"), 4);
	close(fd);
	rig_free(rig);
}

static void a_server_that_speaks_first_is_heard(void **state)
{
	struct proxy_protocol_spec spec = {.accept = true, .send = PROXY_PROTOCOL_V1};
	struct rig *rig = greeting_rig(PROTOCOL_TCP, spec, serve_banner);
	int fd = rig_connect(&rig->addr);

	(void)state;
	rig_send(fd, V2, sizeof(V2) - 1);
	expect_answer(fd, "220 ", "the banner");
	rig_say(fd, "done");
	expect_answer(fd, V1 "done", "what the backend was sent");
	close(fd);
	rig_free(rig);
}

static void a_backend_is_told_of_the_client_itself(void **state)
{
	struct proxy_protocol_spec spec = {.send = PROXY_PROTOCOL_V1};
	struct rig *rig = greeting_rig(PROTOCOL_TCP, spec, serve_banner);
	int fd = rig_connect(&rig->addr);
	struct addr me = rig_addr(fd);
	char want[128];

	(void)state;
	snprintf(want, sizeof(want), "PROXY TCP4 127.0.0.1 127.0.0.1 %u %u\r\ndone", ntohs(me.port),
		 ntohs(rig->addr.port));
	expect_answer(fd, "220 ", "the banner");
	rig_say(fd, "done");
	expect_answer(fd, want, "what the backend was sent");
	close(fd);
	rig_free(rig);
}

static void an_http_client_is_who_the_header_says(void **state)
{
	struct rig *rig = greeting_rig(PROTOCOL_HTTP, ACCEPT, serve_head);
	int fd = rig_connect(&rig->addr);

	(void)state;
	rig_send(fd, V2, sizeof(V2) - 1);
	rig_say(fd, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	expect_answer(fd, "X-Forwarded-For: 10.1.2.3\r\n", "the forwarded head");
	close(fd);
	rig_free(rig);
}

/* Two requests of one client, two connections: nobody can tell what the next client would be. */
static void an_upstream_with_a_header_is_not_shared(void **state)
{
	struct proxy_protocol_spec spec = {.accept = true, .send = PROXY_PROTOCOL_V1};
	struct rig *rig = greeting_rig(PROTOCOL_HTTP, spec, serve_head);
	int fd = rig_connect(&rig->addr);

	(void)state;
	rig_say(fd, V1);
	for (int i = 0; i < 2; i++) {
		rig_say(fd, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
		expect_answer(fd, "\r\n\r\n" V1 "GET / HTTP/1.1\r\n", "the forwarded bytes");
		expect_answer(fd, "\r\n\r\n", "the rest");
	}
	assert_int_equal(atomic_load(&rig->origin.n_conns), 2);
	assert_int_equal(atomic_load(&rig->origin.requests), 2);
	close(fd);
	rig_free(rig);
}

static void only_a_trusted_peer_s_header_counts(void **state)
{
	static const struct {
		const char *prefix;
		const char *sent;
		const char *answer;
	} rows[] = {
		{"127.0.0.0/8", V1 "ping", "ping"},
		{"10.0.0.0/8", V1 "ping", V1 "ping"}, /* its own bytes */
		{"10.0.0.0/8", "ping", "ping"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct rig *rig = rig_new(serve_echo, NULL);
		char text[128];
		int fd;

		assert_null(prefix_parse(slice_of(rows[i].prefix), &rig->trusted));
		rig->protocol = PROTOCOL_TCP;
		rig->proxy_protocol = ACCEPT;
		rig_begin(rig);
		fd = rig_connect(&rig->addr);
		rig_say(fd, rows[i].sent);
		rig_read_until(fd, text, sizeof(text), "ping");
		if (strcmp(text, rows[i].answer) != 0)
			fail_msg("trusting %s: expected '%s', got '%s'", rows[i].prefix,
				 rows[i].answer, text);
		close(fd);
		rig_free(rig);
	}
}

static void a_connection_without_a_header_is_reset_and_counted(void **state)
{
	static const char *const texts[] = {"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
					    "PROXY TCP4 10.1.2.3 192.0.2.9 56789 0443\r\n",
					    "\x16\x03\x01"};
	struct rig *rig = greeting_rig(PROTOCOL_HTTP, ACCEPT, serve_head);

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		int fd = rig_connect(&rig->addr);
		char text[64];

		rig_say(fd, texts[i]);
		if (rig_read_until(fd, text, sizeof(text), NULL) != -1)
			fail_msg("'%s': expected a reset, got '%s'", texts[i], text);
		close(fd);
		assert_int_equal(bad_headers(rig), i + 1);
	}
	rig_free(rig);
}

static void a_header_that_does_not_come_is_waited_for_with_a_limit(void **state)
{
	struct rig *rig = rig_new(serve_head, NULL);
	int fds[2];
	char text[64];

	(void)state;
	rig->proxy_protocol = ACCEPT;
	rig->timeouts.client_header = 50;
	rig_begin(rig);
	fds[0] = rig_connect(&rig->addr);
	fds[1] = rig_connect(&rig->addr);
	rig_say(fds[1], "PROXY TCP4 10.");
	assert_int_equal(rig_read_until(fds[0], text, sizeof(text), NULL), -1);
	assert_int_equal(rig_read_until(fds[1], text, sizeof(text), NULL), -1);
	assert_int_equal(bad_headers(rig), 2);
	close(fds[0]);
	close(fds[1]);
	rig_free(rig);
}

static void half_a_header_and_the_end_is_refused_at_once(void **state)
{
	struct rig *rig = greeting_rig(PROTOCOL_TCP, ACCEPT, serve_echo);
	int fd = rig_connect(&rig->addr);
	char text[64];

	(void)state;
	rig_say(fd, "PROXY TCP4 10.");
	shutdown(fd, SHUT_WR);
	assert_int_equal(rig_read_until(fd, text, sizeof(text), NULL), -1);
	assert_int_equal(bad_headers(rig), 1);
	close(fd);
	rig_free(rig);
}

static void on_drained(void *ctx)
{
	struct rig *rig = ctx;

	rig->drained = true;
	loop_stop(rig->loop);
}

static void a_drain_does_not_wait_for_headers(void **state)
{
	struct rig *rig = greeting_rig(PROTOCOL_HTTP, ACCEPT, serve_head);
	int fd = rig_connect(&rig->addr);

	(void)state;
	proxy_drain(rig->proxy, 60000, on_drained, rig);
	rig_run(rig, RIG_WAIT_S * 1000);
	assert_true(rig->drained);
	assert_true(rig_closed(fd, RIG_WAIT_S * 1000));
	close(fd);
	rig_free(rig);
}

struct seen_session {
	unsigned n;
	struct session_info info;
};

static void look(struct worker *worker, void *ctx)
{
	struct seen_session *seen = ctx;

	list_for_each (node, &worker->sessions) {
		const struct session *session = container_of(node, struct session, node);

		session->ops->describe(session, &seen->info);
		seen->n++;
	}
}

static void a_connection_whose_header_has_not_come_is_described(void **state)
{
	static const struct {
		enum service_protocol protocol;
		const char *word;
	} rows[] = {{PROTOCOL_HTTP, "http"}, {PROTOCOL_TCP, "tcp"}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct rig *rig = greeting_rig(rows[i].protocol, ACCEPT, serve_echo);
		int fd = rig_connect(&rig->addr);
		struct seen_session seen = {0};

		rig_say(fd, "PROXY TCP4 10.");
		for (uint64_t end = clock_ms() + RIG_WAIT_S * 1000ULL;
		     seen.n == 0 && clock_ms() < end;)
			proxy_visit(rig->proxy, look, &seen);
		assert_int_equal(seen.n, 1);
		assert_string_equal(seen.info.state, "greeting");
		assert_string_equal(seen.info.protocol, rows[i].word);
		assert_string_equal(seen.info.backend, "");
		assert_string_equal(seen.info.request, "");
		close(fd);
		rig_free(rig);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_header_is_taken_off_a_relayed_connection),
		cmocka_unit_test(a_header_in_many_pieces_is_taken_too),
		cmocka_unit_test(a_server_that_speaks_first_is_heard),
		cmocka_unit_test(a_backend_is_told_of_the_client_itself),
		cmocka_unit_test(an_http_client_is_who_the_header_says),
		cmocka_unit_test(an_upstream_with_a_header_is_not_shared),
		cmocka_unit_test(only_a_trusted_peer_s_header_counts),
		cmocka_unit_test(a_connection_without_a_header_is_reset_and_counted),
		cmocka_unit_test(a_header_that_does_not_come_is_waited_for_with_a_limit),
		cmocka_unit_test(half_a_header_and_the_end_is_refused_at_once),
		cmocka_unit_test(a_drain_does_not_wait_for_headers),
		cmocka_unit_test(a_connection_whose_header_has_not_come_is_described),
	};

	return cmocka_run_group_tests_name("greeting", tests, NULL, NULL);
}
