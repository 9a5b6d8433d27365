/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A loop, a check and a server that plays a script to it.
 *
 * For: the tests of health. Owns: all of these, in one static object.
 */
#ifndef HEALTH_FIXTURE_H
#define HEALTH_FIXTURE_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "health/health.h"
#include "net/socket.h"

#include "../port.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define OK_HEAD	     "HTTP/1.1 200 OK\r\n"
#define GUARD_MS     20000 /* a test that is not done by then has failed */

#define PULSE_MS       4
#define PULSE_SLACK_MS 2 /* of rounding, when nothing is late */

/* ---- A server that plays a script, in the same loop ---------------------------------------- */

struct script {
	struct slice answer;
	size_t at_once; /* bytes written per millisecond; 0: all */
	bool then_close;
	bool mute; /* reads, never answers */
	bool reset;
};

struct server {
	struct source listener;
	struct source client; /* one at a time; the newest */
	struct timer pace;
	struct addr addr;
	int reserved; /* its port, also while it does not listen */
	struct script script;
	char request[2048];
	size_t request_len;
	size_t sent;
	int accepted;
	bool has_client;
};

static struct {
	struct loop *loop;
	struct timer guard;
	bool expired;
	struct server server;
	struct health_check *check;
	enum health_status status;
	enum health_reason reason;
	int results;
	int stop_after; /* results */
	enum health_status stop_at;
	bool close_inside;
	uint64_t result_ms;
	struct timer pulse;
	uint64_t pulse_ms;  /* when it beats next */
	uint64_t stolen_ms; /* time that the machine gave to others */
} f;

static inline void drop_client(struct server *server)
{
	if (!server->has_client)
		return;
	server->has_client = false;
	timer_stop(f.loop, &server->pace);
	loop_remove(f.loop, &server->client);
	if (server->script.reset)
		socket_close_reset(server->client.fd);
	else
		close(server->client.fd);
}

static inline void play(struct timer *timer)
{
	struct server *server = container_of(timer, struct server, pace);
	struct slice answer = server->script.answer;
	size_t left = answer.len - server->sent;
	size_t now = server->script.at_once && server->script.at_once < left
			     ? server->script.at_once
			     : left;
	ssize_t n = send(server->client.fd, answer.ptr + server->sent, now, MSG_NOSIGNAL);

	if (n < 0 && errno != EAGAIN)
		return; /* the probe has seen enough */
	server->sent += n > 0 ? (size_t)n : 0;
	if (server->sent < answer.len)
		timer_start(f.loop, &server->pace, 1);
	else if (server->script.then_close)
		drop_client(server);
}

static inline void on_request(struct source *source)
{
	struct server *server = container_of(source, struct server, client);
	size_t room = sizeof(server->request) - 1 - server->request_len;
	ssize_t n = recv(source->fd, server->request + server->request_len, room, 0);

	if (n > 0)
		server->request_len += (size_t)n;
	server->request[server->request_len] = '\0';
	if (!server->script.mute && server->sent == 0 && strstr(server->request, "\r\n\r\n"))
		play(&server->pace);
}

static inline void on_client(struct source *source)
{
	struct server *server = container_of(source, struct server, listener);
	int fd;

	while ((fd = socket_accept(source->fd, NULL)) >= 0) {
		drop_client(server);
		server->accepted++;
		server->has_client = true;
		server->sent = 0;
		server->request_len = 0;
		timer_init(&server->pace, play);
		assert_int_equal(loop_add(f.loop, &server->client, fd, on_request), 0);
		if (server->script.reset)
			drop_client(server);
	}
}

static inline void serve(struct script script)
{
	int fd;

	if (f.server.reserved < 0)
		f.server.reserved = port_reserve(&f.server.addr);
	fd = socket_listen_tcp(&f.server.addr, false, 64);
	assert_true(fd >= 0);
	f.server.script = script;
	assert_int_equal(loop_add(f.loop, &f.server.listener, fd, on_client), 0);
}

static inline void stop_serving(void)
{
	if (!f.server.listener.on_ready)
		return;
	drop_client(&f.server);
	loop_remove(f.loop, &f.server.listener);
	close(f.server.listener.fd);
}

/* ---- How late this process runs ------------------------------------------------------------ */

static inline void on_pulse(struct timer *pulse)
{
	uint64_t now_ms = loop_now_ms(f.loop);

	if (now_ms > f.pulse_ms + PULSE_SLACK_MS)
		f.stolen_ms += now_ms - f.pulse_ms;
	f.pulse_ms = now_ms + PULSE_MS;
	timer_start(f.loop, pulse, PULSE_MS);
}

static inline void count_stolen(void)
{
	f.stolen_ms = 0;
	f.pulse_ms = loop_now_ms(f.loop) + PULSE_MS;
	timer_start(f.loop, &f.pulse, PULSE_MS);
}

/* ---- Fixture ------------------------------------------------------------------------------- */

static inline void on_guard(struct timer *timer)
{
	(void)timer;
	f.expired = true;
	loop_stop(f.loop);
}

static inline int set_up(void **state)
{
	(void)state;
	memset(&f, 0, sizeof(f));
	f.server.reserved = -1;
	assert_int_equal(loop_new(&f.loop), 0);
	timer_init(&f.guard, on_guard);
	timer_start(f.loop, &f.guard, GUARD_MS);
	timer_init(&f.pulse, on_pulse);
	return 0;
}

static inline int tear_down(void **state)
{
	(void)state;
	health_close(f.check);
	stop_serving();
	timer_stop(f.loop, &f.guard);
	timer_stop(f.loop, &f.pulse);
	loop_free(f.loop);
	if (f.server.reserved >= 0)
		close(f.server.reserved);
	return 0;
}

static inline void on_result(void *owner, enum health_status status, enum health_reason reason)
{
	assert_ptr_equal(owner, &f);
	f.status = status;
	f.reason = reason;
	f.result_ms = loop_now_ms(f.loop);
	f.results++;
	if (f.close_inside) {
		health_close(f.check);
		f.check = NULL;
	}
	if (f.results == f.stop_after || (f.stop_at && f.stop_at == status))
		loop_stop(f.loop);
}

static inline struct health_spec spec_of(enum health_type type)
{
	return (struct health_spec){.type = type,
				    .interval_ms = 50,
				    .timeout_ms = 2000,
				    .rise = 2,
				    .fall = 3,
				    .jitter_percent = 5,
				    .backoff_max_ms = 200,
				    .path = "/",
				    .method = "GET"};
}

static inline void start(const struct health_spec *spec, enum health_status status)
{
	assert_int_equal(
		health_start(f.loop, spec, &f.server.addr, status, on_result, &f, &f.check), 0);
}

static inline void run(void)
{
	assert_int_equal(loop_run(f.loop), 0);
	assert_false(f.expired);
}

static inline void run_until_results(int results)
{
	f.stop_after = f.results + results;
	f.stop_at = HEALTH_IS_UNKNOWN;
	run();
}

static inline void run_until(enum health_status status)
{
	f.stop_after = 0;
	f.stop_at = status;
	run();
}

static inline void on_stop(struct timer *timer)
{
	(void)timer;
	loop_stop(f.loop);
}

static inline void run_for(uint64_t ms)
{
	struct timer stop;

	f.stop_after = 0;
	f.stop_at = HEALTH_IS_UNKNOWN;
	timer_init(&stop, on_stop);
	timer_start(f.loop, &stop, ms);
	run();
}

#endif
