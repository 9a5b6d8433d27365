/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A proxy between a client and scripted origins, all on loopback, for the tests of this room.
 *
 * For: test_*.c here. Owns: the proxy, the origins' threads. Every wait ends after RIG_WAIT_S.
 */
#ifndef RIG_H
#define RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "pool/view.h"
#include "proxy/proxy.h"

#include "../port.h"

#define RIG_WAIT_S	5
#define RIG_MAX_ORIGINS 4
#define RIG_MAX_CONNS	256
#define RIG_SERVICE	7
#define RIG_POOL	3
#define RIG_TEXT	65536

/* ---- Sockets ------------------------------------------------------------------------------- */

static inline void rig_limit(int fd)
{
	struct timeval limit = {.tv_sec = RIG_WAIT_S};

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
}

static inline struct addr rig_addr(int fd)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	struct addr addr;

	assert_int_equal(getsockname(fd, (struct sockaddr *)&ss, &len), 0);
	assert_int_equal(addr_from_sockaddr(&ss, &addr), 0);
	return addr;
}

static inline int rig_listen(struct addr *ret_addr)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	assert_int_equal(listen(fd, 128), 0);
	*ret_addr = rig_addr(fd);
	return fd;
}

static inline int rig_connect(const struct addr *addr)
{
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(addr, &ss);
	int fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	rig_limit(fd);
	assert_int_equal(connect(fd, (struct sockaddr *)&ss, len), 0);
	return fd;
}

static inline bool rig_send(int fd, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = send(fd, text, len, MSG_NOSIGNAL);

		if (n <= 0)
			return false;
		text += n;
		len -= (size_t)n;
	}
	return true;
}

static inline void rig_say(int fd, const char *text)
{
	rig_send(fd, text, strlen(text));
}

/* Reads until <text> contains <until>, or the end, or <size>. The bytes there are; -1: reset. */
static inline ssize_t rig_read_until(int fd, char *text, size_t size, const char *until)
{
	size_t len = 0;

	text[0] = '\0';
	while (len + 1 < size && !(until && strstr(text, until))) {
		ssize_t n = recv(fd, text + len, until ? 1 : size - 1 - len, 0);

		if (n < 0)
			return -1;
		if (n == 0)
			break;
		len += (size_t)n;
		text[len] = '\0';
	}
	return (ssize_t)len;
}

/* Discards what comes until the peer closes; false if it has not after <ms> of silence. */
static inline bool rig_closed(int fd, int ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	char bytes[4096];

	while (poll(&p, 1, ms) == 1)
		if (recv(fd, bytes, sizeof(bytes), 0) <= 0)
			return true;
	return false;
}

/* ---- Origins ------------------------------------------------------------------------------- */

struct origin;

struct origin_conn {
	struct origin *origin;
	int fd;
	pthread_t thread;
};

/* serve() is called for each connection, on a thread of its own; <n> counts them from 0. */
struct origin {
	void (*serve)(struct origin *origin, int fd, unsigned n);
	const void *script;
	struct addr addr;
	int fd;
	pthread_t thread;
	struct origin_conn conns[RIG_MAX_CONNS];
	atomic_uint n_conns;
	atomic_uint requests; /* for serve() to count */
	pthread_mutex_t lock;
	char seen[RIG_TEXT]; /* what serve() wants the test to see */
};

static inline void *rig_serve(void *ctx)
{
	struct origin_conn *conn = ctx;
	struct origin *origin = conn->origin;

	rig_limit(conn->fd);
	origin->serve(origin, conn->fd, (unsigned)(conn - origin->conns));
	close(conn->fd);
	return NULL;
}

static inline void *rig_accept(void *ctx)
{
	struct origin *origin = ctx;

	for (unsigned n = 0; n < RIG_MAX_CONNS; n++) {
		struct origin_conn *conn = &origin->conns[n];

		conn->origin = origin;
		conn->fd = accept4(origin->fd, NULL, NULL, SOCK_CLOEXEC);
		if (conn->fd < 0 && errno == EMFILE) { /* a test that has taken them all */
			poll(NULL, 0, 10);
			n--;
			continue;
		}
		if (conn->fd < 0)
			break;
		/* Counted first: by its answer a test may know of it. */
		atomic_fetch_add(&origin->n_conns, 1);
		if (pthread_create(&conn->thread, NULL, rig_serve, conn) != 0) {
			atomic_fetch_sub(&origin->n_conns, 1);
			break;
		}
	}
	return NULL;
}

static inline void origin_start(struct origin *origin)
{
	origin->fd = rig_listen(&origin->addr);
	pthread_mutex_init(&origin->lock, NULL);
	assert_int_equal(pthread_create(&origin->thread, NULL, rig_accept, origin), 0);
}

static inline void origin_stop(struct origin *origin)
{
	shutdown(origin->fd, SHUT_RDWR);
	pthread_join(origin->thread, NULL);
	for (unsigned i = 0; i < atomic_load(&origin->n_conns); i++)
		pthread_join(origin->conns[i].thread, NULL);
	close(origin->fd);
	pthread_mutex_destroy(&origin->lock);
}

static inline void origin_saw(struct origin *origin, const char *text)
{
	pthread_mutex_lock(&origin->lock);
	strncat(origin->seen, text, sizeof(origin->seen) - strlen(origin->seen) - 1);
	pthread_mutex_unlock(&origin->lock);
}

/* ---- The proxy ----------------------------------------------------------------------------- */

struct rig {
	struct loop *loop;
	struct proxy *proxy;
	struct addr addr;		   /* of the service */
	int reserved[1 + RIG_MAX_ORIGINS]; /* ports: of the service, of origins that are dead */
	unsigned n_reserved;
	enum service_protocol protocol;
	struct timeouts_spec timeouts;
	struct pool_spec pool;
	struct service_spec service; /* its limits; the rest is filled in */
	uint32_t max_connections;    /* of each origin */
	struct proxy_protocol_spec proxy_protocol;
	struct prefix trusted; /* with bits: the one trusted proxy */
	struct lb_live live[RIG_MAX_ORIGINS];
	struct addr origins[RIG_MAX_ORIGINS];
	uint32_t n_origins;
	unsigned freed; /* snapshots */
	bool drained;
	struct origin origin;
};

/* Rows are written by workers at any time. */
static inline uint64_t rig_read(const __u64 *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

static inline void rig_on_free(void *ctx, struct snapshot *snapshot)
{
	struct rig *rig = ctx;

	rig->freed++;
	for (uint32_t i = 0; i < snapshot->n_pools; i++)
		balancer_free(snapshot->pools[i].balancer);
}

static inline struct balancer *rig_balancer(struct rig *rig)
{
	struct balancer *balancer;
	struct view *view;

	assert_int_equal(view_new(rig->n_origins, rig->n_origins, &view), 0);
	for (uint32_t i = 0; i < rig->n_origins; i++) {
		struct view_member *member = &view->members[i];

		member->id = (uint16_t)(i + 1);
		member->weight = 1;
		member->max_connections = rig->max_connections;
		member->addr = rig->origins[i];
		member->live = &rig->live[i];
		snprintf(member->name, sizeof(member->name), "b%u", i);
	}
	assert_int_equal(balancer_new("round-robin", view, NULL, &balancer), 0);
	view_put(view);
	return balancer;
}

/* What lbd has in its configuration. */
struct rig_specs {
	struct route_spec route;
	struct service_spec service;
	struct pool_spec pool;
};

static inline struct service_set *rig_services(struct rig *rig)
{
	struct service_set *set = service_set_new(1);
	struct rig_specs *specs = calloc(1, sizeof(*specs));

	assert_non_null(set);
	assert_non_null(specs);
	*specs = (struct rig_specs){
		.route = {.pool = "web"},
		.pool = rig->pool,
		.service = rig->service,
	};
	(void)snprintf(specs->service.name, sizeof(specs->service.name), "front");
	specs->service.listen = &rig->addr;
	specs->service.n_listen = 1;
	specs->service.protocol = rig->protocol;
	specs->service.path = PATH_PROXY;
	specs->service.enabled = true;
	specs->service.routes = &specs->route;
	specs->service.n_routes = 1;
	specs->service.timeouts = rig->timeouts;
	specs->service.proxy_protocol = rig->proxy_protocol;
	specs->service.trusted = &rig->trusted;
	specs->service.n_trusted = rig->trusted.bits > 0;
	assert_int_equal(service_set_put(set, 0, RIG_SERVICE, &specs->service), 0);
	set->pool_by_id[RIG_POOL] = 1;
	set->on_free = free;
	set->ctx = specs;
	return set;
}

static inline void rig_publish(struct rig *rig)
{
	struct service_set *set = rig_services(rig);
	struct snapshot *snapshot = snapshot_new(set, 1);
	struct rig_specs *specs = set->ctx;

	assert_non_null(snapshot);
	service_set_free(set);
	snapshot->pools[0].spec = &specs->pool;
	snapshot->pools[0].id = RIG_POOL;
	snapshot->pools[0].balancer = rig_balancer(rig);
	snapshot->on_free = rig_on_free;
	snapshot->ctx = rig;
	proxy_publish(rig->proxy, snapshot);
}

static inline void rig_reserve(struct rig *rig, struct addr *ret_addr)
{
	assert_in_range(rig->n_reserved, 0, RIG_MAX_ORIGINS);
	rig->reserved[rig->n_reserved++] = port_reserve(ret_addr);
}

/* An origin where nobody listens. */
static inline void rig_add_dead(struct rig *rig)
{
	rig_reserve(rig, &rig->origins[rig->n_origins++]);
}

static inline void rig_open(struct rig *rig, uint32_t workers)
{
	struct error err = {0};

	rig_reserve(rig, &rig->addr);
	log_set_level(LOG_LEVEL_ERROR);
	rig->timeouts = (struct timeouts_spec){
		.client_header = 10000,
		.client_body = 30000,
		.client_idle = 60000,
		.connect = 3000,
		.response_header = 30000,
		.response_idle = 30000,
		.tunnel = 3600000,
		.drain = 30000,
	};
	rig->pool = (struct pool_spec){
		.name = "web",
		.queue = {.size = 1000, .timeout_ms = 5000},
		.retries = {.attempts = 2, .on = 1U << RETRY_CONNECT | 1U << RETRY_CLOSED},
	};
	assert_int_equal(loop_new(&rig->loop), 0);
	assert_int_equal(proxy_start(rig->loop, workers, &rig->proxy, &err), 0);
}

static inline void rig_begin(struct rig *rig)
{
	struct error err = {0};

	rig_publish(rig);
	if (proxy_listen(rig->proxy, RIG_SERVICE, &rig->addr, &err) != 0)
		fail_msg("%s", err.message);
}

/* One worker, one origin. */
static inline struct rig *rig_new(void (*serve)(struct origin *, int, unsigned), const void *script)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	assert_non_null(rig);
	rig->protocol = PROTOCOL_HTTP;
	rig_open(rig, 1);
	if (serve) {
		rig->origin.serve = serve;
		rig->origin.script = script;
		origin_start(&rig->origin);
		rig->origins[rig->n_origins++] = rig->origin.addr;
	}
	return rig;
}

static inline void rig_free(struct rig *rig)
{
	proxy_free(rig->proxy);
	loop_free(rig->loop);
	if (rig->origin.serve)
		origin_stop(&rig->origin);
	for (uint32_t i = 0; i < RIG_MAX_ORIGINS; i++)
		assert_int_equal(rig->live[i].proxy_opened, rig->live[i].proxy_closed);
	while (rig->n_reserved > 0)
		close(rig->reserved[--rig->n_reserved]);
	free(rig);
}

/* Of the service; the counters of connections that have ended are at rest. */
static inline struct proxy_stats rig_stats(struct rig *rig)
{
	struct proxy_stats stats;

	proxy_stats(rig->proxy, RIG_SERVICE, &stats);
	return stats;
}

struct rig_alarm {
	struct timer timer;
	struct loop *loop;
};

static inline void rig_on_alarm(struct timer *timer)
{
	loop_stop(container_of(timer, struct rig_alarm, timer)->loop);
}

/* Runs the control loop for at most <ms>, or until something calls loop_stop. */
static inline void rig_run(struct rig *rig, uint32_t ms)
{
	struct rig_alarm alarm = {.loop = rig->loop};

	timer_init(&alarm.timer, rig_on_alarm);
	timer_start(rig->loop, &alarm.timer, ms);
	assert_int_equal(loop_run(rig->loop), 0);
	timer_stop(rig->loop, &alarm.timer);
}

#endif
