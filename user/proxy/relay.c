/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "proxy/relay.h"

#include <errno.h>
#include <stdlib.h>
#include <xxhash.h>

#include "base/log.h"
#include "proxy/dial.h"
#include "proxy/greeting.h"
#include "proxy/listener.h"
#include "proxy/record.h"
#include "proxy/route.h"
#include "proxy/sni.h"
#include "proxy/tunnel.h"
#include "proxy/worker.h"

/*
 *   state    event                                next
 *   PEEKING  ClientHello read, or no TLS          DIALLING
 *            no route, malformed, late, closed    CLOSED
 *   DIALLING a backend's connection is there      OPEN
 *            there is none to be had              CLOSED
 *   OPEN     both sides have closed, or broken    CLOSED
 */
enum relay_state {
	RELAY_PEEKING,	/* the client's first bytes are read: they say where it leads */
	RELAY_DIALLING, /* a backend is looked for (dial.h); nothing is read */
	RELAY_OPEN,	/* bytes flow */
	RELAY_CLOSED,
};

struct relay {
	struct session session;
	enum relay_state state;
	struct channel client;
	uint64_t counted_in, counted_out; /* of the client's channel */
	struct dial dial;
	bool led; /* the pool is known */
	struct timeouts_spec timeouts;
	enum proxy_protocol send;
	/* For the line of the access log, which may come when the service is gone. */
	const struct access_log *log; /* NULL: none */
	uint64_t began_us;
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
	dial_count(&relay->dial);
}

/* The line of the access log; its backend is the last that was asked. */
static void note_end(const struct relay *relay, const char *why)
{
	const struct worker *worker = relay->session.worker;
	const struct dial *dial = &relay->dial;
	struct access_entry entry = {
		.pool = relay->led ? worker_pool_name(worker, dial->pool) : "",
		.backend = dial->name,
		.protocol = "relay",
		.reason = why,
		.bytes_in = relay->client.received,
		.bytes_out = relay->client.sent,
		.queue_us = dial->n_asked > 0 ? (int64_t)(dial->asked_us - relay->began_us)
					      : ACCESS_NO_TIME,
		.connect_us = dial->connect_us,
		.first_byte_us = ACCESS_NO_TIME,
		.total_us = (int64_t)(loop_now_us(worker->loop) - relay->began_us),
		.retries = dial->n_asked > 0 ? dial->n_asked - 1 : 0,
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
	count_bytes(relay);
	dial_close(&relay->dial, reset);
	if (reset)
		transport_reset(&relay->client.transport);
	channel_close(&relay->client);
	timer_stop(worker->loop, &relay->timer);
	count(&relay->session.counts->closed, 1);
	relay->freeing.run = free_relay;
	loop_defer(worker->loop, &relay->freeing);
	worker_session_gone(worker, &relay->session);
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

static void run(struct relay *relay)
{
	struct worker *worker = relay->session.worker;
	uint64_t moved = 0;
	int open = tunnel_run(&relay->client, &relay->dial.channel, &moved);

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
	relay->state = RELAY_DIALLING;
	timer_stop(relay->session.worker->loop, &relay->timer);
	dial_start(&relay->dial,
		   snapshot->pools[snapshot_route_pool(snapshot, service, (uint32_t)route)].id);
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
	else if (relay->dial.state == DIAL_QUEUED && transport_broken(&relay->client.transport))
		close_relay(relay, true, "client_closed");
}

/* Sent with the first bytes of the client, or by itself: the backend may be the one to speak. */
static int greet(struct relay *relay)
{
	struct wire *out;

	if (relay->send == PROXY_PROTOCOL_NONE)
		return 0;
	out = channel_out(&relay->dial.channel);
	return out ? greeting_put(relay->send, &relay->session, &relay->client.transport, out)
		   : -ENOMEM;
}

static void on_open(struct dial *dial)
{
	struct relay *relay = container_of(dial, struct relay, dial);

	relay->state = RELAY_OPEN;
	tunnel_init(&relay->client, &dial->channel);
	if (greet(relay) < 0) {
		close_relay(relay, true, "no_memory");
		return;
	}
	timer_start(relay->session.worker->loop, &relay->timer, relay->timeouts.tunnel);
	run(relay);
}

static void on_backend(struct dial *dial)
{
	run(container_of(dial, struct relay, dial));
}

static void on_dial_end(struct dial *dial, const char *why)
{
	struct relay *relay = container_of(dial, struct relay, dial);

	if (dial->state == DIAL_FULL)
		refuse(relay, why, NULL);
	else
		close_relay(relay, true, why);
}

static void on_timer(struct timer *timer)
{
	struct relay *relay = container_of(timer, struct relay, timer);

	if (relay->state == RELAY_PEEKING)
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

	if (relay->dial.state == DIAL_CONNECTING)
		dial_lost(&relay->dial, "backend_down");
	else
		close_relay(relay, true, "backend_down");
}

static const char *state_word(const struct relay *relay)
{
	static const char *const words[] = {
		[RELAY_PEEKING] = "peeking",
		[RELAY_DIALLING] = "connecting",
		[RELAY_OPEN] = "open",
		[RELAY_CLOSED] = "closed",
	};

	return relay->dial.state == DIAL_QUEUED ? "queued" : words[relay->state];
}

static void describe(const struct session *session, struct session_info *ret_info)
{
	const struct relay *relay = container_of(session, const struct relay, session);
	const struct dial *dial = &relay->dial;

	*ret_info = (struct session_info){
		.protocol = "tcp",
		.state = state_word(relay),
		.backend = dial->live ? dial->name : "",
		.backend_id = dial->live ? dial->id : 0,
		.pool = dial->live ? dial->pool : 0,
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
	relay->dial.connect_ms = relay->timeouts.connect;
	relay->dial.queue_ms = relay->timeouts.queue;
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
	dial_init(&relay->dial, &relay->session);
	relay->dial.key.client = arrival->peer;
	relay->dial.key.hash = XXH64(&arrival->peer, sizeof(arrival->peer), arrival->service_id);
	relay->dial.on_open = on_open;
	relay->dial.on_ready = on_backend;
	relay->dial.on_end = on_dial_end;
	relay->began_us = loop_now_us(worker->loop);
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
