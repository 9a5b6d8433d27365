/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "rig.h"

#include <sys/resource.h>

#define HEAD_END "\r\n\r\n"
#define GET	 "GET /%d HTTP/1.1\r\nHost: h\r\n\r\n"
#define OK	 "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

/* What the origins of a test have in common. */
struct gauge {
	atomic_uint inside; /* requests that were not answered yet */
	atomic_uint most;
	atomic_uint let; /* how many may be answered */
	int slow_ms;	 /* what an answer takes */
};

static void took(struct gauge *gauge)
{
	unsigned n = atomic_fetch_add(&gauge->inside, 1) + 1;
	unsigned most = atomic_load(&gauge->most);

	while (n > most && !atomic_compare_exchange_weak(&gauge->most, &most, n))
		;
}

/* Answers as many requests as the gauge lets, and notes their order. */
static void serve_by_gauge(struct origin *origin, int fd, unsigned n)
{
	struct gauge *gauge = (struct gauge *)origin->script;
	char text[8192];

	(void)n;
	while (rig_read_until(fd, text, sizeof(text), HEAD_END) > 0) {
		char path[16] = "";

		(void)sscanf(text, "GET /%13s", path);
		took(gauge);
		strcat(path, " ");
		origin_saw(origin, path);
		poll(NULL, 0, gauge->slow_ms);
		for (;;) {
			unsigned let = atomic_load(&gauge->let);

			if (let > 0 && atomic_compare_exchange_weak(&gauge->let, &let, let - 1))
				break;
			poll(NULL, 0, 1);
		}
		atomic_fetch_sub(&gauge->inside, 1);
		atomic_fetch_add(&origin->requests, 1);
		rig_say(fd, OK);
	}
}

static void wait_for(atomic_uint *value, unsigned wanted, const char *what)
{
	for (int i = 0; i < RIG_WAIT_S * 1000 && atomic_load(value) != wanted; i++)
		poll(NULL, 0, 1);
	if (atomic_load(value) != wanted)
		fail_msg("%s: expected %u, got %u", what, wanted, atomic_load(value));
}

static void wait_queued(struct rig *rig, unsigned wanted)
{
	uint32_t got = 0;

	for (int i = 0; i < RIG_WAIT_S * 1000; i++) {
		got = proxy_queued(rig->proxy, RIG_POOL);
		if (got == wanted)
			return;
		poll(NULL, 0, 1);
	}
	fail_msg("queued: expected %u, got %u", wanted, got);
}

static int ask(struct rig *rig, int number)
{
	char request[64];
	int fd = rig_connect(&rig->addr);

	(void)snprintf(request, sizeof(request), GET, number);
	rig_say(fd, request);
	return fd;
}

static void answer(int fd, const char *want)
{
	char text[4096];

	if (rig_read_until(fd, text, sizeof(text), HEAD_END) <= 0 || !strstr(text, want))
		fail_msg("no '%s' in:\n%s", want, text);
	close(fd);
}

/* One worker and one origin that has room for one request. */
static struct rig *rig_of_one(struct gauge *gauge)
{
	struct rig *rig = rig_new(serve_by_gauge, gauge);

	rig->max_connections = 1;
	return rig;
}

static void who_waits_is_served_in_order(void **state)
{
	struct gauge gauge = {0};
	struct rig *rig = rig_of_one(&gauge);
	int fds[5];

	(void)state;
	rig_begin(rig);
	fds[0] = ask(rig, 0);
	wait_for(&gauge.inside, 1, "requests at the origin");
	for (int i = 1; i < 5; i++) {
		fds[i] = ask(rig, i);
		wait_queued(rig, (unsigned)i);
	}
	atomic_store(&gauge.let, 5);
	for (int i = 0; i < 5; i++)
		answer(fds[i], "HTTP/1.1 200 ");
	assert_string_equal(rig->origin.seen, "0 1 2 3 4 ");
	assert_int_equal(atomic_load(&gauge.most), 1);
	rig_free(rig);
}

static void a_full_queue_answers_503(void **state)
{
	struct gauge gauge = {0};
	struct rig *rig = rig_of_one(&gauge);
	int first, second;

	(void)state;
	rig->pool.queue.size = 1;
	rig_begin(rig);
	first = ask(rig, 1);
	wait_for(&gauge.inside, 1, "requests at the origin");
	second = ask(rig, 2);
	wait_queued(rig, 1);
	answer(ask(rig, 3), "HTTP/1.1 503 ");
	assert_int_equal(rig_stats(rig).no_room, 1);
	atomic_store(&gauge.let, 2);
	answer(first, "HTTP/1.1 200 ");
	answer(second, "HTTP/1.1 200 ");
	rig_free(rig);
}

static void who_waits_too_long_gets_503(void **state)
{
	struct gauge gauge = {0};
	struct rig *rig = rig_of_one(&gauge);
	int first;

	(void)state;
	rig->pool.queue.timeout_ms = 20;
	rig_begin(rig);
	first = ask(rig, 1);
	wait_for(&gauge.inside, 1, "requests at the origin");
	answer(ask(rig, 2), "HTTP/1.1 503 ");
	assert_int_equal(proxy_queued(rig->proxy, RIG_POOL), 0);
	assert_int_equal(rig_stats(rig).no_room, 1);
	atomic_store(&gauge.let, 1);
	answer(first, "HTTP/1.1 200 ");
	rig_free(rig);
}

static void a_client_that_goes_leaves_the_queue(void **state)
{
	struct gauge gauge = {0};
	struct rig *rig = rig_of_one(&gauge);
	int first, second, third;

	(void)state;
	rig_begin(rig);
	first = ask(rig, 1);
	wait_for(&gauge.inside, 1, "requests at the origin");
	second = ask(rig, 2);
	wait_queued(rig, 1);
	third = ask(rig, 3);
	wait_queued(rig, 2);
	close(second);
	wait_queued(rig, 1);
	atomic_store(&gauge.let, 2);
	answer(first, "HTTP/1.1 200 ");
	answer(third, "HTTP/1.1 200 ");
	assert_string_equal(rig->origin.seen, "1 3 ");
	rig_free(rig);
}

static void a_raised_limit_lets_in_who_waits(void **state)
{
	struct gauge gauge = {0};
	struct rig *rig = rig_of_one(&gauge);
	int fds[3];

	(void)state;
	rig_begin(rig);
	fds[0] = ask(rig, 0);
	wait_for(&gauge.inside, 1, "requests at the origin");
	for (int i = 1; i < 3; i++) {
		fds[i] = ask(rig, i);
		wait_queued(rig, (unsigned)i);
	}
	rig->max_connections = 3;
	rig_publish(rig);
	wait_for(&gauge.inside, 3, "requests at the origin");
	atomic_store(&gauge.let, 3);
	for (int i = 0; i < 3; i++)
		answer(fds[i], "HTTP/1.1 200 ");
	rig_free(rig);
}

static void a_new_backend_lets_in_who_waits(void **state)
{
	struct gauge gauge = {0};
	struct rig *rig = rig_of_one(&gauge);
	struct origin other = {.serve = serve_by_gauge, .script = &gauge};
	int first, second;

	(void)state;
	rig_begin(rig);
	first = ask(rig, 1);
	wait_for(&gauge.inside, 1, "requests at the origin");
	second = ask(rig, 2);
	wait_queued(rig, 1);
	origin_start(&other);
	rig->origins[rig->n_origins++] = other.addr;
	rig_publish(rig);
	wait_for(&gauge.inside, 2, "requests at the origins");
	atomic_store(&gauge.let, 2);
	answer(first, "HTTP/1.1 200 ");
	answer(second, "HTTP/1.1 200 ");
	assert_string_equal(other.seen, "2 ");
	rig_free(rig);
	origin_stop(&other);
}

/* ---- Many ---------------------------------------------------------------------------------- */

#define CROWD	 24
#define EACH	 40
#define ROOM	 3
#define N_CROWDS (CROWD * EACH)

struct member {
	struct rig *rig;
	pthread_t thread;
	unsigned good;
};

static void *run_member(void *ctx)
{
	struct member *member = ctx;
	int fd = rig_connect(&member->rig->addr);
	char text[4096];

	for (int i = 0; i < EACH; i++) {
		rig_say(fd, "GET /x HTTP/1.1\r\nHost: h\r\n\r\n");
		if (rig_read_until(fd, text, sizeof(text), "\r\n\r\nhi") <= 0 ||
		    !strstr(text, "HTTP/1.1 200 "))
			break;
		member->good++;
	}
	close(fd);
	return NULL;
}

static void the_limit_is_exact_over_all_workers(void **state)
{
	struct gauge gauge = {.let = N_CROWDS, .slow_ms = 1};
	struct rig *rig = calloc(1, sizeof(*rig));
	struct member members[CROWD];
	unsigned good = 0;

	(void)state;
	rig->protocol = PROTOCOL_HTTP;
	rig->max_connections = ROOM;
	rig_open(rig, 4);
	rig->origin = (struct origin){.serve = serve_by_gauge, .script = &gauge};
	origin_start(&rig->origin);
	rig->origins[rig->n_origins++] = rig->origin.addr;
	rig_begin(rig);
	for (int i = 0; i < CROWD; i++) {
		members[i] = (struct member){.rig = rig};
		assert_int_equal(pthread_create(&members[i].thread, NULL, run_member, &members[i]),
				 0);
	}
	for (int i = 0; i < CROWD; i++) {
		pthread_join(members[i].thread, NULL);
		good += members[i].good;
	}
	assert_int_equal(good, N_CROWDS);
	assert_int_equal(atomic_load(&gauge.most), ROOM);
	assert_int_equal(proxy_queued(rig->proxy, RIG_POOL), 0);
	rig_free(rig);
}

/* ---- Retries ------------------------------------------------------------------------------- */

struct retry_row {
	const char *name;
	uint32_t on;
	uint32_t attempts;
	const char *request;
	const char *script; /* what the origin says to each request; NULL: it closes */
	const char *want;
	unsigned asked; /* requests that came to the origins */
};

#define BIT(cause)  (1U << RETRY_##cause)
#define SAY(status) "HTTP/1.1 " status " no\r\nContent-Length: 0\r\n\r\n"
#define ASK(method) method " /a HTTP/1.1\r\nHost: h\r\n\r\n"

static const struct retry_row retry_rows[] = {
	{"a 503 is passed on unless asked otherwise", BIT(CLOSED), 2, ASK("GET"), SAY("503"),
	 "HTTP/1.1 503 no", 1},
	{"a 503 is tried as often as the pool says", BIT(503), 2, ASK("GET"), SAY("503"),
	 "HTTP/1.1 503 no", 3},
	{"a 502 does not count for 503", BIT(503), 2, ASK("GET"), SAY("502"), "HTTP/1.1 502 no", 1},
	{"a 504 is tried again", BIT(504), 1, ASK("GET"), SAY("504"), "HTTP/1.1 504 no", 2},
	{"a POST is not sent twice for a 503", BIT(503), 2, ASK("POST"), SAY("503"),
	 "HTTP/1.1 503 no", 1},
	{"a close is tried again", BIT(CLOSED), 2, ASK("GET"), NULL, "HTTP/1.1 502 ", 3},
	{"a close is not tried again if not asked", BIT(CONNECT), 2, ASK("GET"), NULL,
	 "HTTP/1.1 502 ", 1},
	{"without attempts nothing is tried again", BIT(CLOSED), 0, ASK("GET"), NULL,
	 "HTTP/1.1 502 ", 1},
};

static void serve_script(struct origin *origin, int fd, unsigned n)
{
	const struct retry_row *row = origin->script;
	char text[8192];

	(void)n;
	while (rig_read_until(fd, text, sizeof(text), HEAD_END) > 0) {
		atomic_fetch_add(&origin->requests, 1);
		if (!row->script)
			return;
		rig_say(fd, row->script);
	}
}

static void try_row(const struct retry_row *row)
{
	struct rig *rig = rig_new(serve_script, row);
	int fd;

	rig->pool.retries = (struct retry_spec){.attempts = row->attempts, .on = row->on};
	rig_begin(rig);
	fd = rig_connect(&rig->addr);
	rig_say(fd, row->request);
	answer(fd, row->want);
	if (atomic_load(&rig->origin.requests) != row->asked)
		fail_msg("%s: expected %u requests, got %u", row->name, row->asked,
			 atomic_load(&rig->origin.requests));
	rig_free(rig);
}

static void retries_are_as_the_pool_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(retry_rows) / sizeof(retry_rows[0]); i++)
		try_row(&retry_rows[i]);
}

static void a_late_answer_is_asked_for_elsewhere(void **state)
{
	struct gauge gauge = {0}; /* lets nobody */
	struct gauge open = {.let = 1};
	struct rig *rig = rig_new(serve_by_gauge, &gauge);
	struct origin other = {.serve = serve_by_gauge, .script = &open};

	(void)state;
	origin_start(&other);
	rig->origins[rig->n_origins++] = other.addr;
	rig->timeouts.response_header = 500; /* the other has to answer in this time */
	rig->pool.retries.on = BIT(TIMEOUT);
	rig_begin(rig);
	answer(ask(rig, 1), "HTTP/1.1 200 ");
	assert_int_equal(atomic_load(&other.requests), 1);
	atomic_store(&gauge.let, 100);
	rig_free(rig);
	origin_stop(&other);
}

/* ---- Backends that go ---------------------------------------------------------------------- */

static void serve_ok_and_tell_the_end(struct origin *origin, int fd, unsigned n)
{
	char text[8192];

	(void)n;
	while (rig_read_until(fd, text, sizeof(text), HEAD_END) > 0) {
		struct gauge *gauge = (struct gauge *)origin->script;

		took(gauge);
		while (gauge->slow_ms && atomic_load(&gauge->let) == 0)
			poll(NULL, 0, 1);
		rig_say(fd, OK);
		atomic_fetch_add(&origin->requests, 1);
	}
	origin_saw(origin, "closed");
}

static void wait_closed(struct origin *origin)
{
	bool closed = false;

	for (int i = 0; i < RIG_WAIT_S * 1000 && !closed; i++) {
		pthread_mutex_lock(&origin->lock);
		closed = strcmp(origin->seen, "closed") == 0;
		pthread_mutex_unlock(&origin->lock);
		poll(NULL, 0, 1);
	}
	assert_true(closed);
}

static void without_origins(struct rig *rig)
{
	uint32_t n = rig->n_origins;

	rig->n_origins = 0;
	rig_publish(rig);
	rig->n_origins = n;
}

static void an_idle_connection_to_a_backend_that_goes_is_closed(void **state)
{
	struct gauge gauge = {0};
	struct rig *rig = rig_new(serve_ok_and_tell_the_end, &gauge);

	(void)state;
	rig_begin(rig);
	answer(ask(rig, 1), "HTTP/1.1 200 ");
	without_origins(rig);
	wait_closed(&rig->origin);
	rig_free(rig);
}

static void a_request_at_a_backend_that_goes_is_answered_and_its_connection_closed(void **state)
{
	struct gauge gauge = {.slow_ms = 1};
	struct rig *rig = rig_new(serve_ok_and_tell_the_end, &gauge);
	int fd;

	(void)state;
	rig_begin(rig);
	fd = ask(rig, 1);
	wait_for(&gauge.inside, 1, "requests at the origin");
	without_origins(rig);
	atomic_store(&gauge.let, 1);
	answer(fd, "HTTP/1.1 200 ");
	wait_closed(&rig->origin);
	rig_free(rig);
}

struct heard {
	struct rig *rig;
	unsigned n;
	char reason[64];
	uint16_t backend;
};

static void hear(void *ctx, const struct pool_report *report)
{
	struct heard *heard = ctx;

	heard->n++;
	heard->backend = report->backend;
	(void)snprintf(heard->reason, sizeof(heard->reason), "%s", report->reason);
	loop_stop(heard->rig->loop);
}

static void a_failure_is_reported_to_the_control_thread(void **state)
{
	struct rig *rig = rig_new(NULL, NULL);
	struct heard heard = {.rig = rig};

	(void)state;
	rig_add_dead(rig);
	rig->pool.retries.attempts = 0;
	rig_begin(rig);
	proxy_on_report(rig->proxy, hear, &heard);
	answer(ask(rig, 1), "HTTP/1.1 502 ");
	rig_run(rig, RIG_WAIT_S * 1000);
	assert_int_equal(heard.n, 1);
	assert_int_equal(heard.backend, 1);
	assert_string_equal(heard.reason, "connect_refused");
	rig_free(rig);
}

#define MANY_FDS 400

/* With one descriptor left, for the client's connection. */
static void connect_scarce(struct rig *rig, const char *request, char *text, size_t size)
{
	int fillers[MANY_FDS], n = 0, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(&rig->addr, &ss);
	struct rlimit before, low;

	rig_limit(fd);
	getrlimit(RLIMIT_NOFILE, &before);
	low = before;
	low.rlim_cur = MANY_FDS / 2;
	setrlimit(RLIMIT_NOFILE, &low);
	while (n < MANY_FDS && (fillers[n] = dup(fd)) >= 0)
		n++;
	close(fillers[--n]);
	log_set_level(-1); /* lines about it are expected */
	assert_int_equal(connect(fd, (struct sockaddr *)&ss, len), 0);
	rig_say(fd, request);
	(void)rig_read_until(fd, text, size, NULL);
	while (n > 0)
		close(fillers[--n]);
	setrlimit(RLIMIT_NOFILE, &before);
	log_set_level(LOG_LEVEL_ERROR);
	close(fd);
}

static void no_backend_is_blamed_for_want_of_descriptors(void **state)
{
	static const struct {
		enum service_protocol protocol;
		const char *answer;
	} rows[] = {{PROTOCOL_HTTP, "HTTP/1.1 502 "}, {PROTOCOL_TCP, ""}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct rig *rig = rig_new(serve_script, NULL);
		struct heard heard = {.rig = rig};
		char text[4096];

		rig->protocol = rows[i].protocol;
		rig_begin(rig);
		proxy_on_report(rig->proxy, hear, &heard);
		connect_scarce(rig, "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", text,
			       sizeof(text));
		if (strncmp(text, rows[i].answer, strlen(rows[i].answer)) != 0)
			fail_msg("expected '%s', got '%s'", rows[i].answer, text);
		rig_run(rig, 20);
		if (heard.n > 0)
			fail_msg("backend %u is blamed: %s", heard.backend, heard.reason);
		assert_true(rig_read(&rig->live[0].proxy_failed) > 0);
		rig_free(rig);
	}
}

/* The control thread does not look meanwhile. */
static void reports_that_find_no_room_are_counted(void **state)
{
	static const char requests[] = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
	struct rig *rig = rig_new(NULL, NULL);
	char text[4096];
	int fd;

	(void)state;
	rig_add_dead(rig);
	rig->pool.retries.attempts = 0;
	rig_begin(rig);
	fd = rig_connect(&rig->addr);
	for (int i = 0; i < REPORT_QUEUE_SIZE + 7; i++) {
		rig_say(fd, requests);
		assert_true(rig_read_until(fd, text, sizeof(text), "Bad Gateway\n") > 0);
	}
	close(fd);
	assert_int_equal(proxy_reports_dropped(rig->proxy), 7);
	rig_free(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_waits_is_served_in_order),
		cmocka_unit_test(a_full_queue_answers_503),
		cmocka_unit_test(who_waits_too_long_gets_503),
		cmocka_unit_test(a_client_that_goes_leaves_the_queue),
		cmocka_unit_test(a_raised_limit_lets_in_who_waits),
		cmocka_unit_test(a_new_backend_lets_in_who_waits),
		cmocka_unit_test(the_limit_is_exact_over_all_workers),
		cmocka_unit_test(retries_are_as_the_pool_says),
		cmocka_unit_test(a_late_answer_is_asked_for_elsewhere),
		cmocka_unit_test(an_idle_connection_to_a_backend_that_goes_is_closed),
		cmocka_unit_test(
			a_request_at_a_backend_that_goes_is_answered_and_its_connection_closed),
		cmocka_unit_test(a_failure_is_reported_to_the_control_thread),
		cmocka_unit_test(no_backend_is_blamed_for_want_of_descriptors),
		cmocka_unit_test(reports_that_find_no_room_are_counted),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
