/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "proxy/relay.h"

#include <errno.h>
#include <stdlib.h>
#include <xxhash.h>

#include "base/log.h"
#include "net/socket.h"
#include "proxy/admission.h"
#include "proxy/greeting.h"
#include "proxy/listener.h"
#include "proxy/record.h"
#include "proxy/reporter.h"
#include "proxy/retries.h"
#include "proxy/route.h"
#include "proxy/sni.h"
#include "proxy/tunnel.h"
#include "proxy/worker.h"

/*
 *   state       event                                next
 *   PEEKING     ClientHello read, or no TLS          CONNECTING
 *               no route, malformed, late, closed    CLOSED
 *   CONNECTING  all eligible backends are full       QUEUED
 *               connected                            OPEN
 *               refused, timed out, others left      CONNECTING
 *               none left                            CLOSED
 *   QUEUED      a backend has room for this one      CONNECTING
 *               no room in time, or the queue full   CLOSED
 *   OPEN        both sides have closed, or broken    CLOSED
 */
enum relay_state {
	RELAY_PEEKING,	  /* the client's first bytes are read: they say where it leads */
	RELAY_CONNECTING, /* the backend's connection is not there yet; nothing is read */
	RELAY_QUEUED,	  /* all eligible backends are full: it waits for one to have room */
	RELAY_OPEN,	  /* bytes flow */
	RELAY_CLOSED,
};

/* In microseconds; asking is what comes before a backend is picked. */
struct relay_times {
	uint64_t began;
	int64_t asking, connect; /* ACCESS_NO_TIME: it did not come so far */
};

struct relay {
	struct session session;
	enum relay_state state;
	struct channel client;
	struct channel backend;
	uint64_t counted_in, counted_out; /* of the client's channel */
	uint64_t live_in, live_out;	  /* of the backend's */
	struct lb_live *live;		  /* non-NULL: counted as open */
	char name[POOL_NAME_LEN];
	uint16_t id;
	struct retries retries;
	uint32_t n_asked;      /* backends, before one answered */
	uint32_t pool;	       /* id */
	bool led;	       /* the pool is known */
	uint16_t admitted;     /* the backend that a queue has let it in to; 0: none */
	struct waiter *waiter; /* while it is queued */
	struct pick_key key;
	struct timeouts_spec timeouts;
	enum proxy_protocol send;
	const char *why; /* the last backend has failed */
	uint64_t asked_us;
	/* For the line of the access log, which may come when the service is gone. */
	const struct access_log *log; /* NULL: none */
	struct relay_times times;
	char service[SERVICE_NAME_LEN];
	struct timer timer;
	struct deferred freeing;
};

static void free_relay(struct deferred *deferred)
{
	free(container_of(deferred, struct relay, freeing));
}

static void count_bytes(struct relay *relay)
{
	struct service_counts *counts = relay->session.counts;

	if (relay->client.received != relay->counted_in || relay->client.sent != relay->counted_out)
		relay->session.active_ms = loop_now_ms(relay->session.worker->loop);
	count(&counts->bytes_in, relay->client.received - relay->counted_in);
	count(&counts->bytes_out, relay->client.sent - relay->counted_out);
	relay->counted_in = relay->client.received;
	relay->counted_out = relay->client.sent;
	if (!relay->live)
		return;
	live_add(&relay->live->proxy_bytes_in, relay->backend.sent - relay->live_in);
	live_add(&relay->live->proxy_bytes_out, relay->backend.received - relay->live_out);
	relay->live_in = relay->backend.sent;
	relay->live_out = relay->backend.received;
}

static void end_backend(struct relay *relay)
{
	count_bytes(relay);
	if (relay->live) {
		live_add(&relay->live->proxy_closed, 1);
		admission_leave(relay->session.worker, relay->pool, relay->id);
	}
	relay->live = NULL;
	channel_close(&relay->backend);
}

/* The line of the access log; its backend is the last that was asked. */
static void note_end(const struct relay *relay, const char *why)
{
	const struct worker *worker = relay->session.worker;
	struct access_entry entry = {
		.pool = relay->led ? worker_pool_name(worker, relay->pool) : "",
		.backend = relay->name,
		.protocol = "relay",
		.reason = why,
		.bytes_in = relay->client.received,
		.bytes_out = relay->client.sent,
		.queue_us = relay->times.asking,
		.connect_us = relay->times.connect,
		.first_byte_us = ACCESS_NO_TIME,
		.total_us = (int64_t)(loop_now_us(worker->loop) - relay->times.began),
		.retries = relay->n_asked > 0 ? relay->n_asked - 1 : 0,
	};

	record_connection(&relay->session, relay->log, relay->service, &entry);
}

/* <why>: a word for the access log; "ok" where both sides have closed. */
static void close_relay(struct relay *relay, bool reset, const char *why)
{
	struct worker *worker = relay->session.worker;

	if (relay->state == RELAY_CLOSED)
		return;
	note_end(relay, why);
	relay->state = RELAY_CLOSED;
	waiter_leave(relay->waiter);
	relay->waiter = NULL;
	if (reset && relay->live)
		transport_reset(&relay->backend.transport);
	end_backend(relay);
	if (reset)
		transport_reset(&relay->client.transport);
	channel_close(&relay->client);
	timer_stop(worker->loop, &relay->timer);
	count(&relay->session.counts->closed, 1);
	relay->freeing.run = free_relay;
	loop_defer(worker->loop, &relay->freeing);
	worker_session_gone(worker, &relay->session);
}

static void failed(struct relay *relay, const char *why)
{
	struct worker *worker = relay->session.worker;

	relay->why = why;
	if (relay->live)
		live_add(&relay->live->proxy_failed, 1);
	if (worker_may_log(worker))
		log_warning("connection of service '%s' failed at backend '%s': %s",
			    worker_service_name(worker, relay->session.service_id), relay->name,
			    why);
}

static void refuse(struct relay *relay, const char *why, const char *name)
{
	struct worker *worker = relay->session.worker;
	char peer[ADDR_TEXT_LEN];

	if (worker_may_log(worker))
		log_warning("connection of '%s' to service '%s' closed: %s%s%s",
			    addr_format(&relay->session.peer, peer),
			    worker_service_name(worker, relay->session.service_id), why,
			    name ? " for " : "", name ? name : "");
	close_relay(relay, true, why);
}

static void no_room(struct relay *relay, const char *why)
{
	count(&relay->session.counts->no_room, 1);
	refuse(relay, why, NULL);
}

static const struct snapshot_pool *find_pool(const struct relay *relay)
{
	const struct snapshot *snapshot = worker_snapshot(relay->session.worker);

	return snapshot ? snapshot_pool(snapshot, relay->pool) : NULL;
}

/* Inside the gate of *ret_member; the backend that a queue gave may be gone by now. */
static enum admission_result pick(struct relay *relay, const struct view_member **ret_member)
{
	struct worker *worker = relay->session.worker;
	const struct snapshot_pool *pool = find_pool(relay);
	uint16_t id = relay->admitted;
	struct admission_ask ask;

	relay->admitted = 0;
	if (id) {
		*ret_member = pool ? view_find(pool->balancer->view, id) : NULL;
		if (*ret_member)
			return ADMISSION_IN;
		admission_leave(worker, relay->pool, id);
	}
	if (!pool)
		return ADMISSION_NONE;
	ask = retries_ask(&relay->retries, pool, &relay->key);
	return admission_enter(worker->shared->admission, &ask, ret_member);
}

static void on_backend(struct source *source);

static int open_backend(struct relay *relay, const struct addr *addr)
{
	struct worker *worker = relay->session.worker;
	int fd, err = socket_connect_tcp(addr, &fd);

	if (err < 0)
		return err;
	relay->backend = (struct channel){0};
	relay->live_in = 0;
	relay->live_out = 0;
	return channel_open(&relay->backend, worker->loop, &worker->buffers, fd, on_backend);
}

static void connect_next(struct relay *relay);

static void admitted(void *owner, uint16_t backend)
{
	struct relay *relay = owner;

	relay->waiter = NULL;
	relay->admitted = backend;
	relay->state = RELAY_CONNECTING;
	connect_next(relay);
}

/* find_pool() has just found it. */
static void queue_up(struct relay *relay)
{
	struct worker *worker = relay->session.worker;
	const struct snapshot_pool *pool = find_pool(relay);
	struct admission_ask ask = retries_ask(&relay->retries, pool, &relay->key);
	uint32_t ms = relay->timeouts.queue;

	relay->state = RELAY_QUEUED;
	if (admission_wait(worker, &ask, false, &relay->waiter) < 0) {
		no_room(relay, "queue_full");
		return;
	}
	waiter_tell(relay->waiter, admitted, relay);
	timer_start(worker->loop, &relay->timer, ms ? ms : pool->spec->queue.timeout_ms);
}

/* Nobody is left to be asked. */
static void give_up(struct relay *relay)
{
	struct worker *worker = relay->session.worker;

	if (relay->n_asked == 0 && worker_may_log(worker))
		log_warning("connection of service '%s' closed: no_backend",
			    worker_service_name(worker, relay->session.service_id));
	close_relay(relay, true, relay->n_asked == 0 ? "no_backend" : relay->why);
}

static void count_opened(struct relay *relay, const struct view_member *member)
{
	relay->live = member->live;
	relay->id = member->id;
	memcpy(relay->name, member->name, sizeof(relay->name));
	live_add(&relay->live->proxy_opened, 1);
	relay->n_asked++;
	relay->asked_us = loop_now_us(relay->session.worker->loop);
	relay->times.asking = (int64_t)(relay->asked_us - relay->times.began);
}

/* The backend is no use. True: another may be asked. */
static bool try_again(struct relay *relay, const char *why)
{
	failed(relay, why);
	end_backend(relay);
	return retries_lost(&relay->retries, relay->id, RETRY_CONNECT);
}

/* A backend whose connection is under way, or the end: nobody is left to try. */
static void connect_next(struct relay *relay)
{
	const struct view_member *member = NULL;
	int err;

	do {
		enum admission_result result = pick(relay, &member);

		if (result == ADMISSION_FULL) {
			queue_up(relay);
			return;
		}
		if (result == ADMISSION_NONE)
			break;
		count_opened(relay, member);
		err = open_backend(relay, &member->addr);
		if (err == 0) {
			timer_start(relay->session.worker->loop, &relay->timer,
				    relay->timeouts.connect);
			return;
		}
		if (!retries_is_own_want(err))
			reporter_say(relay->session.worker, relay->id, retries_connect_word(err));
	} while (try_again(relay, retries_connect_word(err)));
	give_up(relay);
}

static void connect_lost(struct relay *relay, const char *why)
{
	reporter_say(relay->session.worker, relay->id, why);
	if (try_again(relay, why))
		connect_next(relay);
	else
		give_up(relay);
}

static void run(struct relay *relay)
{
	struct worker *worker = relay->session.worker;
	uint64_t moved = 0;
	int open = tunnel_run(&relay->client, &relay->backend, &moved);

	count_bytes(relay);
	if (open <= 0)
		close_relay(relay, open < 0, open < 0 ? "tunnel_reset" : "ok");
	else if (moved > 0)
		timer_start(worker->loop, &relay->timer, relay->timeouts.tunnel);
}

/* ---- Where it leads ------------------------------------------------------------------------- */

static const struct snapshot_service *find_service(const struct relay *relay)
{
	const struct snapshot *snapshot = worker_snapshot(relay->session.worker);

	return snapshot ? snapshot_find(snapshot, relay->session.service_id) : NULL;
}

/* "" where the client names nobody. */
static void lead(struct relay *relay, const char *name)
{
	const struct snapshot *snapshot = worker_snapshot(relay->session.worker);
	const struct snapshot_service *service = find_service(relay);
	int route = service ? route_find_host(service->table, slice_of(name)) : -ENOENT;

	if (route < 0) {
		refuse(relay, "no_route", *name ? name : "a connection without a server name");
		return;
	}
	relay->led = true;
	relay->pool = snapshot->pools[snapshot_route_pool(snapshot, service, (uint32_t)route)].id;
	relay->state = RELAY_CONNECTING;
	if (find_pool(relay))
		retries_init(&relay->retries, find_pool(relay)->spec);
	connect_next(relay);
}

/* The bytes stay in the wire: they are the first that the backend gets. */
static void peek(struct relay *relay)
{
	struct channel *client = &relay->client;
	enum sni_result result = SNI_MORE;
	struct sni sni;

	while (result == SNI_MORE && transport_pending(&client->transport)) {
		ssize_t n = channel_read(client);

		if (n == -EAGAIN)
			return;
		if (n <= 0) {
			refuse(relay,
			       n == -ENOBUFS ? "client_hello_too_long"
					     : "closed_before_client_hello",
			       NULL);
			return;
		}
		result = sni_peek(wire_slice(client->in), &sni);
	}
	if (result == SNI_BAD)
		refuse(relay, sni.reason, NULL);
	else if (result != SNI_MORE)
		lead(relay, result == SNI_NAME ? sni.name : "");
}

static bool routes_by_name(const struct service_spec *spec)
{
	for (uint32_t i = 0; i < spec->n_routes; i++)
		if (spec->routes[i].host[0])
			return true;
	return false;
}

static void on_client(struct source *source)
{
	struct relay *relay = container_of(source, struct relay, client.transport.source);

	if (relay->state == RELAY_OPEN)
		run(relay);
	else if (relay->state == RELAY_PEEKING)
		peek(relay);
	else if (relay->state == RELAY_QUEUED && transport_broken(&relay->client.transport))
		close_relay(relay, true, "client_closed");
}

/* Sent with the first bytes of the client, or by itself: the backend may be the one to speak. */
static int greet(struct relay *relay)
{
	struct wire *out;

	if (relay->send == PROXY_PROTOCOL_NONE)
		return 0;
	out = channel_out(&relay->backend);
	return out ? greeting_put(relay->send, &relay->session, &relay->client.transport, out)
		   : -ENOMEM;
}

static void connected(struct relay *relay)
{
	struct worker *worker = relay->session.worker;
	int err = socket_connected(relay->backend.transport.source.fd);

	if (err < 0 || !transport_writable(&relay->backend.transport)) {
		connect_lost(relay, retries_connect_word(err));
		return;
	}
	relay->state = RELAY_OPEN;
	relay->times.connect = (int64_t)(loop_now_us(worker->loop) - relay->asked_us);
	live_latency(relay->live, (uint64_t)relay->times.connect);
	tunnel_init(&relay->client, &relay->backend);
	if (greet(relay) < 0) {
		close_relay(relay, true, "no_memory");
		return;
	}
	timer_start(worker->loop, &relay->timer, relay->timeouts.tunnel);
	run(relay);
}

static void on_backend(struct source *source)
{
	struct relay *relay = container_of(source, struct relay, backend.transport.source);

	if (relay->state == RELAY_OPEN)
		run(relay);
	else if (relay->state == RELAY_CONNECTING && source->ready & (LOOP_WRITE | LOOP_HANGUP))
		connected(relay);
}

static void on_timer(struct timer *timer)
{
	struct relay *relay = container_of(timer, struct relay, timer);

	if (relay->state == RELAY_CONNECTING)
		connect_lost(relay, "connect_timeout");
	else if (relay->state == RELAY_QUEUED)
		no_room(relay, "queue_timeout");
	else if (relay->state == RELAY_PEEKING)
		refuse(relay, "client_header_timeout", NULL);
	else
		close_relay(relay, true, "tunnel_timeout");
}

/* A relay's connection has no request that could end: it goes on until its sides or the drain's
 * deadline end it. One that has not said where it leads has not begun. */
static void retire(struct session *session)
{
	struct relay *relay = container_of(session, struct relay, session);

	if (relay->state == RELAY_PEEKING && !relay->client.in &&
	    !transport_pending(&relay->client.transport))
		close_relay(relay, false, "drained");
}

static void abort_relay(struct session *session)
{
	close_relay(container_of(session, struct relay, session), true, "killed");
}

static void backend_down(struct session *session)
{
	struct relay *relay = container_of(session, struct relay, session);

	if (relay->state == RELAY_CONNECTING)
		connect_lost(relay, "backend_down");
	else
		close_relay(relay, true, "backend_down");
}

static void describe(const struct session *session, struct session_info *ret_info)
{
	static const char *const words[] = {
		[RELAY_PEEKING] = "peeking", [RELAY_CONNECTING] = "connecting",
		[RELAY_QUEUED] = "queued",   [RELAY_OPEN] = "open",
		[RELAY_CLOSED] = "closed",
	};
	const struct relay *relay = container_of(session, const struct relay, session);

	*ret_info = (struct session_info){
		.protocol = "tcp",
		.state = words[relay->state],
		.backend = relay->live ? relay->name : "",
		.backend_id = relay->live ? relay->id : 0,
		.pool = relay->live ? relay->pool : 0,
		.request = "",
		.bytes_in = relay->client.received,
		.bytes_out = relay->client.sent,
	};
}

static const struct session_ops relay_ops = {
	.describe = describe,
	.retire = retire,
	.abort = abort_relay,
	.backend_down = backend_down,
};

static void begin(struct relay *relay)
{
	const struct snapshot_service *service = find_service(relay);

	if (!service) {
		close_relay(relay, true, "service_gone");
		return;
	}
	relay->log = service->log;
	if (relay->log)
		memcpy(relay->service, service->spec->name, sizeof(relay->service));
	relay->timeouts = service->spec->timeouts;
	relay->send = service->spec->proxy_protocol.send;
	if (routes_by_name(service->spec))
		timer_start(relay->session.worker->loop, &relay->timer,
			    relay->timeouts.client_header);
	else
		lead(relay, "");
}

void relay_accept(const struct arrival *arrival)
{
	struct worker *worker = arrival->worker;
	struct relay *relay = calloc(1, sizeof(*relay));

	if (!relay) {
		transport_drop(arrival->fd);
		arrival_lost(arrival);
		return;
	}
	session_init(&relay->session, &relay_ops, arrival);
	relay->key.client = arrival->peer;
	relay->key.hash = XXH64(&arrival->peer, sizeof(arrival->peer), arrival->service_id);
	relay->backend.transport.source.fd = -1;
	relay->times =
		(struct relay_times){loop_now_us(worker->loop), ACCESS_NO_TIME, ACCESS_NO_TIME};
	timer_init(&relay->timer, on_timer);
	if (channel_open(&relay->client, worker->loop, &worker->buffers, arrival->fd, on_client) <
	    0) {
		arrival_lost(arrival);
		free(relay);
		return;
	}
	count(&relay->session.counts->opened, 1);
	worker_session_added(worker, &relay->session);
	begin(relay);
}
