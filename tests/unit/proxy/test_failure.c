/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "rig.h"

#define HEAD_END "\r\n\r\n"
#define GET	 "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"
#define POST	 "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"
#define OK	 "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

static void serve_ok(struct origin *origin, int fd, unsigned n)
{
	char text[8192];

	(void)n;
	while (rig_read_until(fd, text, sizeof(text), HEAD_END) > 0) {
		atomic_fetch_add(&origin->requests, 1);
		rig_say(fd, OK);
	}
}

/* Reads a request, then closes: with <script> "reset" by RST. */
static void serve_nothing(struct origin *origin, int fd, unsigned n)
{
	const struct linger reset = {.l_onoff = 1};
	char text[8192];

	(void)n;
	if (rig_read_until(fd, text, sizeof(text), HEAD_END) <= 0)
		return;
	atomic_fetch_add(&origin->requests, 1);
	if (origin->script)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
}

/* Says <script>, and then nothing until the proxy has had enough. */
static void serve_silence(struct origin *origin, int fd, unsigned n)
{
	char text[8192];

	(void)n;
	if (rig_read_until(fd, text, sizeof(text), HEAD_END) <= 0)
		return;
	atomic_fetch_add(&origin->requests, 1);
	if (origin->script)
		rig_say(fd, origin->script);
	if (rig_closed(fd, RIG_WAIT_S * 1000))
		origin_saw(origin, "closed");
}

static void ask(struct rig *rig, const char *request, char *text, size_t size, const char *want)
{
	int fd = rig_connect(&rig->addr);

	rig_say(fd, request);
	assert_true(rig_read_until(fd, text, size, HEAD_END) > 0);
	if (!strstr(text, want))
		fail_msg("no '%s' in:\n%s", want, text);
	close(fd);
}

static void without_an_eligible_backend_the_answer_is_503(void **state)
{
	struct rig *rig = rig_new(NULL, NULL);
	struct proxy_stats stats;
	char text[4096];

	(void)state;
	rig_begin(rig);
	ask(rig, GET, text, sizeof(text), "HTTP/1.1 503 ");
	assert_non_null(strstr(text, "Retry-After: "));
	proxy_stats(rig->proxy, RIG_SERVICE, &stats);
	assert_int_equal(stats.status[5], 1);
	rig_free(rig);
}

static void a_refused_connect_is_502_and_counted(void **state)
{
	struct rig *rig = rig_new(NULL, NULL);
	char text[4096];

	(void)state;
	rig_add_dead(rig);
	rig_begin(rig);
	ask(rig, GET, text, sizeof(text), "HTTP/1.1 502 ");
	assert_true(rig_read(&rig->live[0].proxy_failed) > 0);
	rig_free(rig);
}

static void a_refused_connect_is_tried_elsewhere_for_every_method(void **state)
{
	struct rig *rig = rig_new(serve_ok, NULL);
	char text[4096];

	(void)state;
	rig_add_dead(rig);
	rig_add_dead(rig);
	rig_begin(rig);
	for (int i = 0; i < 12; i++)
		ask(rig, i % 2 ? GET : POST, text, sizeof(text), "HTTP/1.1 200 ");
	assert_true(rig_read(&rig->live[1].proxy_failed) > 0);
	rig_free(rig);
}

/* Both backends are asked in turn; the one that always fails must not show in a GET. */
static void check_redispatch(const char *script)
{
	struct rig *rig = rig_new(serve_ok, NULL);
	struct origin *bad = calloc(1, sizeof(*bad));
	char text[4096];
	int failures = 0;

	bad->serve = serve_nothing;
	bad->script = script;
	origin_start(bad);
	rig->origins[rig->n_origins++] = bad->addr;
	rig_begin(rig);
	for (int i = 0; i < 10; i++)
		ask(rig, GET, text, sizeof(text), "HTTP/1.1 200 ");
	for (int i = 0; i < 4; i++) {
		ask(rig, POST, text, sizeof(text), "HTTP/1.1 ");
		failures += strstr(text, "HTTP/1.1 502 ") != NULL;
	}
	assert_true(failures > 0); /* a POST that was written is never sent twice */
	assert_true(rig_read(&rig->live[1].proxy_failed) > 0);
	rig_free(rig);
	origin_stop(bad);
	free(bad);
}

static void a_backend_that_closes_or_resets_never_fails_an_idempotent_request(void **state)
{
	(void)state;
	check_redispatch(NULL);
	check_redispatch("reset");
}

static void a_silent_backend_is_504(void **state)
{
	struct rig *rig = rig_new(serve_silence, NULL);
	char text[4096];

	(void)state;
	rig->timeouts.response_header = 50;
	rig_begin(rig);
	ask(rig, GET, text, sizeof(text), "HTTP/1.1 504 ");
	assert_int_equal(rig_read(&rig->live[0].proxy_failed), 1);
	rig_free(rig);
}

struct cut {
	const char *name;
	const char *request;
	const char *answer;
	bool reset; /* only RST tells the client */
};

static void a_response_that_stops_in_mid_body_never_looks_whole(void **state)
{
	static const struct cut cuts[] = {
		{"length", GET, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", false},
		{"chunked", GET,
		 "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", false},
		{"chunked to HTTP/1.0", "GET / HTTP/1.0\r\n\r\n",
		 "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", true},
	};
	char text[4096];

	(void)state;
	for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
		struct rig *rig = rig_new(serve_silence, cuts[i].answer);
		ssize_t n;
		int fd;

		rig->timeouts.response_idle = 50;
		rig_begin(rig);
		fd = rig_connect(&rig->addr);
		rig_say(fd, cuts[i].request);
		n = rig_read_until(fd, text, sizeof(text), NULL);
		if (cuts[i].reset)
			assert_int_equal(n, -1);
		else
			assert_true(n > 0);
		assert_non_null(strstr(text, "half"));
		assert_null(strstr(text, "0\r\n\r\n"));
		assert_int_equal(rig_read(&rig->live[0].proxy_failed), 1);
		close(fd);
		rig_free(rig);
	}
}

static void a_slow_request_head_is_408(void **state)
{
	struct rig *rig = rig_new(serve_ok, NULL);
	char text[4096];

	(void)state;
	rig->timeouts.client_header = 50;
	rig_begin(rig);
	ask(rig, "GET / HTTP/1.1\r\nHo", text, sizeof(text), "HTTP/1.1 408 ");
	assert_int_equal(atomic_load(&rig->origin.n_conns), 0);
	rig_free(rig);
}

static void a_slow_request_body_is_408(void **state)
{
	struct rig *rig = rig_new(serve_silence, NULL);
	char text[4096];

	(void)state;
	rig->timeouts.client_body = 50;
	rig_begin(rig);
	ask(rig, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nhalf", text, sizeof(text),
	    "HTTP/1.1 408 ");
	assert_int_equal(rig_read(&rig->live[0].proxy_failed), 0);
	rig_free(rig);
}

static void an_idle_client_is_closed_without_a_word(void **state)
{
	struct rig *rig = rig_new(serve_ok, NULL);
	char text[4096];
	int fd;

	(void)state;
	rig->timeouts.client_idle = 50;
	rig_begin(rig);
	fd = rig_connect(&rig->addr);
	rig_say(fd, GET);
	assert_true(rig_read_until(fd, text, sizeof(text), "\r\n\r\nhi") > 0);
	assert_int_equal(rig_read_until(fd, text, sizeof(text), NULL), 0);
	close(fd);
	rig_free(rig);
}

static void a_client_that_leaves_ends_its_request(void **state)
{
	struct rig *rig = rig_new(serve_silence, NULL);
	uint64_t until = clock_ms() + RIG_WAIT_S * 1000;
	int fd;

	(void)state;
	rig_begin(rig);
	fd = rig_connect(&rig->addr);
	rig_say(fd, GET);
	while (atomic_load(&rig->origin.requests) == 0)
		assert_true(clock_ms() < until);
	close(fd);
	while (rig_read(&rig->live[0].proxy_closed) == 0)
		assert_true(clock_ms() < until);
	origin_stop(&rig->origin);
	rig->origin.serve = NULL;
	assert_string_equal(rig->origin.seen, "closed");
	assert_int_equal(rig_read(&rig->live[0].proxy_failed), 0);
	rig_free(rig);
}

static void a_head_that_is_too_large_is_431(void **state)
{
	static char request[40000];
	struct rig *rig = rig_new(serve_ok, NULL);
	char text[4096];
	int n;

	(void)state;
	rig_begin(rig);
	n = snprintf(request, sizeof(request), "GET / HTTP/1.1\r\nHost: h\r\nX: ");
	memset(request + n, 'x', sizeof(request) - (size_t)n - 1);
	ask(rig, request, text, sizeof(text), "HTTP/1.1 431 ");
	assert_int_equal(atomic_load(&rig->origin.n_conns), 0);
	rig_free(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_an_eligible_backend_the_answer_is_503),
		cmocka_unit_test(a_refused_connect_is_502_and_counted),
		cmocka_unit_test(a_refused_connect_is_tried_elsewhere_for_every_method),
		cmocka_unit_test(a_backend_that_closes_or_resets_never_fails_an_idempotent_request),
		cmocka_unit_test(a_silent_backend_is_504),
		cmocka_unit_test(a_response_that_stops_in_mid_body_never_looks_whole),
		cmocka_unit_test(a_slow_request_head_is_408),
		cmocka_unit_test(a_slow_request_body_is_408),
		cmocka_unit_test(an_idle_client_is_closed_without_a_word),
		cmocka_unit_test(a_client_that_leaves_ends_its_request),
		cmocka_unit_test(a_head_that_is_too_large_is_431),
	};

	return cmocka_run_group_tests_name("failure", tests, NULL, NULL);
}
