/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "rig.h"

#include <sys/resource.h>

#define HEAD_END "\r\n\r\n"
#define GET	 "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"
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

/* Answers a request when the test says so, by a byte in its pipe. */
static void serve_on_demand(struct origin *origin, int fd, unsigned n)
{
	const int *pipe_fd = origin->script;
	char text[8192];
	char go;

	(void)n;
	if (rig_read_until(fd, text, sizeof(text), HEAD_END) <= 0)
		return;
	atomic_fetch_add(&origin->requests, 1);
	if (read(*pipe_fd, &go, 1) == 1)
		rig_say(fd, OK);
	rig_closed(fd, RIG_WAIT_S * 1000);
}

static void on_drained(void *ctx)
{
	struct rig *rig = ctx;

	rig->drained = true;
	loop_stop(rig->loop);
}

static void wait_for_request(struct origin *origin)
{
	uint64_t until = clock_ms() + RIG_WAIT_S * 1000;

	while (atomic_load(&origin->requests) == 0)
		assert_true(clock_ms() < until);
}

static bool refuses(const struct addr *addr)
{
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(addr, &ss);
	int fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int result = connect(fd, (struct sockaddr *)&ss, len);

	close(fd);
	return result < 0;
}

static void a_drain_closes_idle_clients_and_lets_requests_finish(void **state)
{
	int ends[2];
	struct rig *rig;
	uint64_t until = clock_ms() + RIG_WAIT_S * 1000;
	char text[4096];
	int idle, busy;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	rig = rig_new(serve_on_demand, &ends[0]);
	rig->timeouts.client_idle = 200; /* the grace */
	rig_begin(rig);
	idle = rig_connect(&rig->addr);
	busy = rig_connect(&rig->addr);
	rig_say(busy, GET);
	wait_for_request(&rig->origin);
	proxy_drain(rig->proxy, 60000, on_drained, rig);
	assert_true(rig_closed(idle, RIG_WAIT_S * 1000));
	do {
		rig_run(rig, 50);
		assert_true(clock_ms() < until);
	} while (!refuses(&rig->addr));
	assert_int_equal(write(ends[1], "g", 1), 1);
	assert_true(rig_read_until(busy, text, sizeof(text), NULL) > 0);
	assert_non_null(strstr(text, "200 OK"));
	assert_non_null(strstr(text, "Connection: close"));
	rig_run(rig, RIG_WAIT_S * 1000);
	assert_true(rig->drained);
	close(idle);
	close(busy);
	close(ends[1]);
	rig_free(rig);
	close(ends[0]);
}

static void a_drain_ends_what_is_left_at_its_deadline(void **state)
{
	int ends[2];
	struct rig *rig;
	int busy;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	rig = rig_new(serve_on_demand, &ends[0]);
	rig_begin(rig);
	busy = rig_connect(&rig->addr);
	rig_say(busy, GET);
	wait_for_request(&rig->origin);
	proxy_drain(rig->proxy, 50, on_drained, rig);
	rig_run(rig, RIG_WAIT_S * 1000);
	assert_true(rig->drained);
	assert_true(rig_closed(busy, RIG_WAIT_S * 1000));
	close(busy);
	close(ends[1]);
	rig_free(rig);
	close(ends[0]);
}

static void a_proxy_freed_before_its_drain_was_told_is_freed_once(void **state)
{
	struct rig *rig = rig_new(serve_ok, NULL);

	(void)state;
	rig_begin(rig);
	proxy_drain(rig->proxy, 50, on_drained, rig);
	proxy_free(rig->proxy);
	rig->proxy = NULL;
	rig_run(rig, 20);
	assert_false(rig->drained);
	rig_free(rig);
}

static void unlisten_ends_its_idle_clients_and_frees_the_address(void **state)
{
	struct rig *rig = rig_new(serve_ok, NULL);
	struct error err;
	char text[4096];
	int fd;

	(void)state;
	rig->timeouts.client_idle = 200; /* the grace */
	rig_begin(rig);
	fd = rig_connect(&rig->addr);
	rig_say(fd, GET);
	assert_true(rig_read_until(fd, text, sizeof(text), "\r\n\r\nhi") > 0);
	proxy_unlisten(rig->proxy, RIG_SERVICE, &rig->addr);
	assert_true(rig_closed(fd, RIG_WAIT_S * 1000));
	close(fd);
	/* At once again, while the workers may not have closed the old ones. */
	assert_int_equal(proxy_listen(rig->proxy, RIG_SERVICE, &rig->addr, &err), 0);
	fd = rig_connect(&rig->addr);
	rig_say(fd, GET);
	assert_true(rig_read_until(fd, text, sizeof(text), "\r\n\r\nhi") > 0);
	close(fd);
	rig_free(rig);
}

static void a_request_that_meets_a_drain_is_answered_with_close(void **state)
{
	struct rig *rig = rig_new(serve_ok, NULL);
	char text[4096];
	int fd;

	(void)state;
	rig_begin(rig);
	fd = rig_connect(&rig->addr);
	rig_say(fd, GET);
	assert_true(rig_read_until(fd, text, sizeof(text), "\r\n\r\nhi") > 0);
	assert_null(strstr(text, "Connection: close"));
	proxy_drain(rig->proxy, 60000, on_drained, rig);
	rig_say(fd, GET);
	assert_true(rig_read_until(fd, text, sizeof(text), NULL) > 0);
	assert_non_null(strstr(text, "200 OK"));
	assert_non_null(strstr(text, "Connection: close"));
	close(fd);
	rig_run(rig, RIG_WAIT_S * 1000);
	assert_true(rig->drained);
	rig_free(rig);
}

/* In the kernel's queue, and nobody has accepted them: a handshake is enough for that. */
static void connections_in_the_queue_are_served_when_their_listener_closes(void **state)
{
	struct rig *rig = rig_new(serve_ok, NULL);
	int fds[32];
	char text[4096];

	(void)state;
	rig_begin(rig);
	for (int round = 0;; round++) {
		struct error err = {0};

		for (size_t i = 0; i < 32; i++)
			fds[i] = rig_connect(&rig->addr);
		proxy_unlisten(rig->proxy, RIG_SERVICE, &rig->addr);
		rig_run(rig, 2 * 100 + 50); /* until they are closed */
		for (size_t i = 0; i < 32; i++) {
			rig_say(fds[i], GET);
			assert_true(rig_read_until(fds[i], text, sizeof(text), "\r\n\r\nhi") > 0);
			close(fds[i]);
		}
		if (round == 1)
			break;
		assert_int_equal(proxy_listen(rig->proxy, RIG_SERVICE, &rig->addr, &err), 0);
	}
	rig_free(rig);
}

static void an_address_goes_to_another_service_with_its_sockets(void **state)
{
	struct rig *rig = rig_new(serve_ok, NULL);
	struct error err = {0};
	struct proxy_stats stats;
	char text[4096];
	int queued, fd;

	(void)state;
	rig_begin(rig);
	proxy_hold(rig->proxy);
	assert_int_equal(proxy_listen(rig->proxy, RIG_SERVICE + 1, &rig->addr, &err), 0);
	queued = rig_connect(&rig->addr); /* nobody accepts, nobody refuses */
	assert_int_equal(proxy_listen(rig->proxy, RIG_SERVICE, &rig->addr, &err), 0);
	proxy_unlisten(rig->proxy, RIG_SERVICE + 1, &rig->addr); /* not its any more */
	proxy_accept(rig->proxy);
	rig_say(queued, GET);
	assert_true(rig_read_until(queued, text, sizeof(text), "\r\n\r\nhi") > 0);
	fd = rig_connect(&rig->addr);
	rig_say(fd, GET);
	assert_true(rig_read_until(fd, text, sizeof(text), "\r\n\r\nhi") > 0);
	proxy_stats(rig->proxy, RIG_SERVICE, &stats);
	assert_int_equal(stats.requests, 2);
	close(queued);
	close(fd);
	rig_free(rig);
}

static void an_address_in_use_is_refused_with_a_sentence(void **state)
{
	struct rig *rig = rig_new(NULL, NULL);
	struct error err = {0};
	struct addr taken;
	int fd = rig_listen(&taken);

	(void)state;
	rig_begin(rig);
	assert_int_equal(proxy_listen(rig->proxy, RIG_SERVICE, &taken, &err), -EADDRINUSE);
	assert_non_null(strstr(err.message, "cannot bind '127.0.0.1:"));
	assert_int_equal(proxy_listen(rig->proxy, RIG_SERVICE, &rig->addr, &err), -EADDRINUSE);
	close(fd);
	rig_free(rig);
}

/* ---- Publishing under load ------------------------------------------------------------------ */

#define LOAD_CLIENTS  4
#define LOAD_REQUESTS 300

struct load {
	struct rig *rig;
	unsigned good;
	pthread_t thread;
};

static void *load_run(void *ctx)
{
	struct load *load = ctx;
	char text[4096];
	int fd = rig_connect(&load->rig->addr);

	for (int i = 0; i < LOAD_REQUESTS; i++) {
		rig_say(fd, GET);
		if (rig_read_until(fd, text, sizeof(text), "\r\n\r\nhi") <= 0)
			break;
		load->good += strstr(text, "200 OK") != NULL;
	}
	close(fd);
	return NULL;
}

static void snapshots_published_under_load_fail_no_request_and_are_freed(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct load loads[LOAD_CLIENTS] = {0};
	unsigned published = 1;

	(void)state;
	rig->protocol = PROTOCOL_HTTP;
	rig_open(rig, 2);
	rig->origin.serve = serve_ok;
	origin_start(&rig->origin);
	rig->origins[rig->n_origins++] = rig->origin.addr;
	rig_begin(rig);
	for (int i = 0; i < LOAD_CLIENTS; i++) {
		loads[i].rig = rig;
		assert_int_equal(pthread_create(&loads[i].thread, NULL, load_run, &loads[i]), 0);
	}
	while (published < 100) {
		rig_publish(rig);
		published++;
		rig_run(rig, 2);
	}
	for (int i = 0; i < LOAD_CLIENTS; i++) {
		pthread_join(loads[i].thread, NULL);
		assert_int_equal(loads[i].good, LOAD_REQUESTS);
	}
	rig_run(rig, 100); /* the workers are idle: all but the current one go */
	assert_int_equal(rig->freed, published - 1);
	rig_free(rig);
}

static void *reconnect_run(void *ctx)
{
	struct load *load = ctx;
	char text[4096];

	for (int i = 0; i < LOAD_REQUESTS; i++) {
		int fd = rig_connect(&load->rig->addr);

		rig_say(fd, "GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
		if (rig_read_until(fd, text, sizeof(text), "\r\n\r\nhi") > 0)
			load->good += strstr(text, "200 OK") != NULL;
		close(fd);
	}
	return NULL;
}

static void workers_come_and_go_under_load_and_reset_nobody(void **state)
{
	static const uint32_t counts[] = {2, 4, 1, 3, 1, 4};
	struct rig *rig = rig_new(serve_ok, NULL);
	struct load loads[LOAD_CLIENTS] = {0};
	struct proxy_stats stats;
	struct error err = {0};

	(void)state;
	rig_begin(rig);
	for (int i = 0; i < LOAD_CLIENTS; i++) {
		loads[i].rig = rig;
		assert_int_equal(pthread_create(&loads[i].thread, NULL, reconnect_run, &loads[i]),
				 0);
	}
	for (int i = 0; i < 60; i++) {
		assert_int_equal(proxy_set_workers(rig->proxy, counts[i % 6], &err), 0);
		rig_run(rig, 3);
	}
	for (int i = 0; i < LOAD_CLIENTS; i++) {
		pthread_join(loads[i].thread, NULL);
		assert_int_equal(loads[i].good, LOAD_REQUESTS);
	}
	proxy_stats(rig->proxy, RIG_SERVICE, &stats);
	assert_int_equal(stats.requests, LOAD_CLIENTS * LOAD_REQUESTS);
	rig_free(rig);
}

static void gone_worker(struct worker *worker, void *ctx)
{
	(void)worker;
	++*(unsigned *)ctx;
}

static void a_worker_that_leaves_lets_its_request_finish(void **state)
{
	unsigned there = 0;
	struct error err = {0};
	struct rig *rig;
	char text[4096];
	int ends[2];
	int busy;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	rig = calloc(1, sizeof(*rig));
	rig->protocol = PROTOCOL_HTTP;
	rig_open(rig, 1);
	rig->origin.serve = serve_on_demand;
	rig->origin.script = &ends[0];
	origin_start(&rig->origin);
	rig->origins[rig->n_origins++] = rig->origin.addr;
	rig_begin(rig);
	assert_int_equal(proxy_set_workers(rig->proxy, 8, &err), 0);
	busy = rig_connect(&rig->addr);
	rig_say(busy, GET);
	wait_for_request(&rig->origin);
	assert_int_equal(proxy_set_workers(rig->proxy, 1, &err), 0);
	rig_run(rig, 100);
	proxy_visit(rig->proxy, gone_worker, &there);
	assert_in_range(there, 1, 2); /* its own, if that is not the one that stays */
	assert_int_equal(write(ends[1], "g", 1), 1);
	assert_true(rig_read_until(busy, text, sizeof(text), "\r\n\r\nhi") > 0);
	assert_non_null(strstr(text, "200 OK"));
	close(busy);
	for (int i = 0; i < 100 && there != 1; i++) {
		there = 0;
		rig_run(rig, 20);
		proxy_visit(rig->proxy, gone_worker, &there);
	}
	assert_int_equal(there, 1);
	close(ends[1]);
	rig_free(rig);
	close(ends[0]);
}

/* Answers until it dies; then it closes on whatever it is asked. */
static void serve_until_death(struct origin *origin, int fd, unsigned n)
{
	const atomic_bool *dead = origin->script;
	char text[8192];

	(void)n;
	while (rig_read_until(fd, text, sizeof(text), HEAD_END) > 0) {
		if (atomic_load(dead))
			return;
		atomic_fetch_add(&origin->requests, 1);
		rig_say(fd, OK);
	}
}

static void a_backend_that_stops_under_load_fails_no_get(void **state)
{
	static atomic_bool dead;
	struct rig *rig = rig_new(serve_ok, NULL);
	struct origin *dying = calloc(1, sizeof(*dying));
	struct load loads[LOAD_CLIENTS] = {0};

	(void)state;
	dying->serve = serve_until_death;
	dying->script = &dead;
	origin_start(dying);
	rig->origins[rig->n_origins++] = dying->addr;
	rig_begin(rig);
	for (int i = 0; i < LOAD_CLIENTS; i++) {
		loads[i].rig = rig;
		assert_int_equal(pthread_create(&loads[i].thread, NULL, load_run, &loads[i]), 0);
	}
	wait_for_request(dying);
	atomic_store(&dead, true);
	shutdown(dying->fd, SHUT_RDWR);
	for (int i = 0; i < LOAD_CLIENTS; i++) {
		pthread_join(loads[i].thread, NULL);
		assert_int_equal(loads[i].good, LOAD_REQUESTS);
	}
	assert_true(rig_read(&rig->live[1].proxy_failed) > 0);
	rig_free(rig);
	origin_stop(dying);
	free(dying);
}

/* ---- Out of descriptors --------------------------------------------------------------------- */

#define MANY_FDS 400

static void without_descriptors_a_client_is_closed_and_later_ones_are_served(void **state)
{
	struct rig *rig = rig_new(serve_ok, NULL);
	int fillers[MANY_FDS], n = 0;
	struct rlimit before, low;
	struct sockaddr_storage ss;
	socklen_t len;
	char text[4096];
	int fd;

	(void)state;
	rig_begin(rig);
	len = addr_to_sockaddr(&rig->addr, &ss);
	fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	getrlimit(RLIMIT_NOFILE, &before);
	low = before;
	low.rlim_cur = MANY_FDS / 2;
	setrlimit(RLIMIT_NOFILE, &low);
	while (n < MANY_FDS && (fillers[n] = dup(fd)) >= 0)
		n++;
	assert_true(n < MANY_FDS);
	log_set_level(-1); /* the one line is expected */
	assert_int_equal(connect(fd, (struct sockaddr *)&ss, len), 0);
	assert_true(rig_closed(fd, RIG_WAIT_S * 1000));
	close(fd);
	while (n > 0)
		close(fillers[--n]);
	log_set_level(LOG_LEVEL_ERROR);
	setrlimit(RLIMIT_NOFILE, &before);
	fd = rig_connect(&rig->addr);
	rig_say(fd, GET);
	assert_true(rig_read_until(fd, text, sizeof(text), "\r\n\r\nhi") > 0);
	close(fd);
	rig_free(rig);
}

/* ---- Names ---------------------------------------------------------------------------------- */

static void words_and_values_agree(void **state)
{
	(void)state;
	assert_int_equal(strtable_value(&protocol_names, SLICE("http")), PROTOCOL_HTTP);
	assert_int_equal(strtable_value(&path_names, SLICE("proxy")), PATH_PROXY);
	assert_int_equal(strtable_value(&forward_names, SLICE("gue")), FORWARD_GUE);
	assert_int_equal(strtable_value(&forward_names, SLICE("x")), -1);
	assert_int_equal(FORWARD_GUE, LB_FORWARD_GUE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_drain_closes_idle_clients_and_lets_requests_finish),
		cmocka_unit_test(a_drain_ends_what_is_left_at_its_deadline),
		cmocka_unit_test(a_proxy_freed_before_its_drain_was_told_is_freed_once),
		cmocka_unit_test(unlisten_ends_its_idle_clients_and_frees_the_address),
		cmocka_unit_test(a_request_that_meets_a_drain_is_answered_with_close),
		cmocka_unit_test(connections_in_the_queue_are_served_when_their_listener_closes),
		cmocka_unit_test(workers_come_and_go_under_load_and_reset_nobody),
		cmocka_unit_test(a_worker_that_leaves_lets_its_request_finish),
		cmocka_unit_test(an_address_goes_to_another_service_with_its_sockets),
		cmocka_unit_test(an_address_in_use_is_refused_with_a_sentence),
		cmocka_unit_test(snapshots_published_under_load_fail_no_request_and_are_freed),
		cmocka_unit_test(a_backend_that_stops_under_load_fails_no_get),
		cmocka_unit_test(without_descriptors_a_client_is_closed_and_later_ones_are_served),
		cmocka_unit_test(words_and_values_agree),
	};

	return cmocka_run_group_tests_name("proxy", tests, NULL, NULL);
}
