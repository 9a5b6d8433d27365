/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "rig.h"

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

static void serve_echo(struct origin *origin, int fd, unsigned n)
{
	char text[256];
	ssize_t len;

	(void)origin;
	(void)n;
	while ((len = recv(fd, text, sizeof(text), 0)) > 0)
		if (!rig_send(fd, text, (size_t)len))
			break;
}

static int ask(struct rig *rig)
{
	int fd = rig_connect(&rig->addr);

	rig_say(fd, GET);
	return fd;
}

static void answered(int fd, const char *want)
{
	char text[4096];

	if (rig_read_until(fd, text, sizeof(text), HEAD_END) <= 0 || !strstr(text, want))
		fail_msg("no '%s' in:\n%s", want, text);
}

static bool silent(int fd, int ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, ms) == 0;
}

static struct rig *begin(uint32_t workers)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	assert_non_null(rig);
	rig->protocol = PROTOCOL_HTTP;
	rig_open(rig, workers);
	rig->origin.serve = serve_ok;
	origin_start(&rig->origin);
	rig->origins[rig->n_origins++] = rig->origin.addr;
	return rig;
}

/* Of three clients the one that is not answered when the two others are. */
static int who_waits(const int fds[3])
{
	int waiting = 3;

	for (int answers = 0, i = 0; answers < 2 && i < RIG_WAIT_S * 100; i++) {
		answers = 0;
		for (int k = 0; k < 3; k++)
			if (silent(fds[k], i < 1 ? 0 : 3))
				waiting = k;
			else
				answers++;
	}
	return waiting;
}

/* Three connections, of which two have room; workers that share a backlog serve the third as soon
 * as one of the two goes. */
static void one_waits_for_another(struct rig *rig)
{
	int fds[3];
	int waiting;

	for (int i = 0; i < 3; i++)
		fds[i] = ask(rig);
	waiting = who_waits(fds);
	if (waiting == 3 || !silent(fds[waiting], 100))
		fail_msg("expected one connection to wait, all three were served");
	for (int i = 0; i < 3; i++)
		if (i != waiting)
			answered(fds[i], "HTTP/1.1 200 ");
	close(fds[(waiting + 1) % 3]);
	answered(fds[waiting], "HTTP/1.1 200 ");
	close(fds[waiting]);
	close(fds[(waiting + 2) % 3]);
}

static void at_the_limit_of_a_service_clients_wait(void **state)
{
	struct rig *rig = begin(1);

	(void)state;
	rig->service.max_connections = 2;
	rig_begin(rig);
	one_waits_for_another(rig);
	rig_free(rig);
}

static void at_the_limit_of_all_clients_wait_in_every_worker(void **state)
{
	struct rig *rig = begin(4);

	(void)state;
	proxy_limit(rig->proxy, 2);
	rig_begin(rig);
	for (int i = 0; i < 8; i++)
		one_waits_for_another(rig);
	rig_free(rig);
}

static void a_raised_limit_serves_who_waits(void **state)
{
	struct rig *rig = begin(1);
	int first, second;

	(void)state;
	rig->service.max_connections = 1;
	rig_begin(rig);
	first = ask(rig);
	answered(first, "HTTP/1.1 200 ");
	second = ask(rig);
	assert_true(silent(second, 50));
	rig->service.max_connections = 0;
	rig_publish(rig);
	answered(second, "HTTP/1.1 200 ");
	close(first);
	close(second);
	rig_free(rig);
}

static void too_many_of_a_source_get_429(void **state)
{
	struct rig *rig = begin(2);
	int first, second, third;

	(void)state;
	rig->service.max_per_source = 2;
	rig_begin(rig);
	first = ask(rig);
	second = ask(rig);
	answered(first, "HTTP/1.1 200 ");
	answered(second, "HTTP/1.1 200 ");
	third = ask(rig);
	answered(third, "HTTP/1.1 429 ");
	assert_true(rig_closed(third, RIG_WAIT_S * 1000));
	assert_int_equal(rig_stats(rig).refused, 1);
	close(third);
	close(first);
	/* The proxy sees the end in its own time. */
	for (int i = 0; i < 100; i++) {
		char text[4096];

		third = ask(rig);
		assert_true(rig_read_until(third, text, sizeof(text), HEAD_END) > 0);
		close(third);
		if (strstr(text, "HTTP/1.1 200 "))
			break;
		assert_int_not_equal(i, 99);
	}
	close(second);
	rig_free(rig);
}

static void too_many_of_a_source_are_reset_by_a_relay(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	char text[16] = "";
	int first, second;

	(void)state;
	assert_non_null(rig);
	rig->protocol = PROTOCOL_TCP;
	rig_open(rig, 1);
	rig->origin.serve = serve_echo;
	origin_start(&rig->origin);
	rig->origins[rig->n_origins++] = rig->origin.addr;
	rig->service.max_per_source = 1;
	rig_begin(rig);
	first = rig_connect(&rig->addr);
	rig_say(first, "hello");
	assert_int_equal(rig_read_until(first, text, sizeof(text), "hello"), 5);
	second = rig_connect(&rig->addr);
	assert_int_equal(recv(second, text, sizeof(text), 0), -1);
	assert_int_equal(errno, ECONNRESET);
	assert_int_equal(rig_stats(rig).refused, 1);
	close(first);
	close(second);
	rig_free(rig);
}

/* Also who waits is closed in time when nobody makes room. */
static void a_relay_waits_for_a_backend_with_room(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	char text[16] = "";
	int first, second, third;

	(void)state;
	assert_non_null(rig);
	rig->protocol = PROTOCOL_TCP;
	rig_open(rig, 2);
	rig->origin.serve = serve_echo;
	origin_start(&rig->origin);
	rig->origins[rig->n_origins++] = rig->origin.addr;
	rig->max_connections = 1;
	rig->pool.queue.timeout_ms = 400;
	rig_begin(rig);
	first = rig_connect(&rig->addr);
	rig_say(first, "hello");
	assert_int_equal(rig_read_until(first, text, sizeof(text), "hello"), 5);
	second = rig_connect(&rig->addr);
	rig_say(second, "again");
	assert_true(silent(second, 50));
	close(first);
	assert_int_equal(rig_read_until(second, text, sizeof(text), "again"), 5);
	third = rig_connect(&rig->addr);
	assert_true(recv(third, text, sizeof(text), 0) <= 0);
	assert_int_equal(rig_stats(rig).no_room, 1);
	close(second);
	close(third);
	rig_free(rig);
}

static void a_denied_source_is_reset(void **state)
{
	struct rig *rig = begin(1);
	struct prefix deny;
	char text[16];
	int fd;

	(void)state;
	assert_null(prefix_parse(SLICE("127.0.0.0/8"), &deny));
	rig->service.deny = &deny;
	rig->service.n_deny = 1;
	rig_begin(rig);
	fd = rig_connect(&rig->addr);
	assert_int_equal(recv(fd, text, sizeof(text), 0), -1);
	assert_int_equal(errno, ECONNRESET);
	assert_int_equal(rig_stats(rig).refused, 1);
	close(fd);
	rig_free(rig);
}

static void a_longer_allowed_prefix_goes_before_a_denied_one(void **state)
{
	struct rig *rig = begin(1);
	struct prefix deny, allow;
	int fd;

	(void)state;
	assert_null(prefix_parse(SLICE("127.0.0.0/8"), &deny));
	assert_null(prefix_parse(SLICE("127.0.0.1"), &allow));
	rig->service.deny = &deny;
	rig->service.n_deny = 1;
	rig->service.allow = &allow;
	rig->service.n_allow = 1;
	rig_begin(rig);
	fd = ask(rig);
	answered(fd, "HTTP/1.1 200 ");
	close(fd);
	rig_free(rig);
}

static void a_source_has_so_many_connections_in_a_time(void **state)
{
	struct rig *rig = begin(2);
	unsigned reset = 0;

	(void)state;
	rig->service.rate =
		(struct rate_spec){.new_flows = 3, .per_ms = 3600000, .bits4 = 32, .bits6 = 64};
	rig_begin(rig);
	for (int i = 0; i < 6; i++) {
		int fd = rig_connect(&rig->addr);
		char text[4096];

		rig_send(fd, GET, strlen(GET));
		if (rig_read_until(fd, text, sizeof(text), HEAD_END) <= 0) /* 0: the send saw it */
			reset++;
		else
			assert_non_null(strstr(text, "HTTP/1.1 200 "));
		assert_int_equal(reset, i < 3 ? 0 : i - 2);
		assert_int_equal(rig_stats(rig).refused, reset);
		close(fd);
	}
	rig_free(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(at_the_limit_of_a_service_clients_wait),
		cmocka_unit_test(at_the_limit_of_all_clients_wait_in_every_worker),
		cmocka_unit_test(a_raised_limit_serves_who_waits),
		cmocka_unit_test(too_many_of_a_source_get_429),
		cmocka_unit_test(too_many_of_a_source_are_reset_by_a_relay),
		cmocka_unit_test(a_relay_waits_for_a_backend_with_room),
		cmocka_unit_test(a_denied_source_is_reset),
		cmocka_unit_test(a_longer_allowed_prefix_goes_before_a_denied_one),
		cmocka_unit_test(a_source_has_so_many_connections_in_a_time),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
