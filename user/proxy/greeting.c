/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "proxy/greeting.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "net/socket.h"
#include "proxy/listener.h"
#include "proxy/proxy_protocol.h"
#include "proxy/record.h"
#include "proxy/worker.h"

struct greeting {
	struct session session;
	struct arrival arrival;
	struct transport transport;
	struct timer timer;
	struct deferred freeing;
};

static void free_greeting(struct deferred *deferred)
{
	free(container_of(deferred, struct greeting, freeing));
}

/* The descriptor belongs to somebody else, or is closed. */
static void leave(struct greeting *greeting)
{
	struct worker *worker = greeting->session.worker;

	timer_stop(worker->loop, &greeting->timer);
	greeting->freeing.run = free_greeting;
	loop_defer(worker->loop, &greeting->freeing);
	worker_session_gone(worker, &greeting->session);
}

static void end(struct greeting *greeting)
{
	if (greeting->transport.source.fd < 0)
		return;
	transport_reset(&greeting->transport);
	count(&greeting->session.counts->opened, 1);
	count(&greeting->session.counts->closed, 1);
	leave(greeting);
}

static void refuse(struct greeting *greeting, const char *reason, size_t at)
{
	struct worker *worker = greeting->session.worker;
	char peer[ADDR_TEXT_LEN];

	if (worker_may_log(worker))
		log_warning("connection of '%s' to service '%s' refused: bad_proxy_header: %s at "
			    "byte %zu",
			    addr_format(&greeting->session.peer, peer),
			    worker_service_name(worker, greeting->session.service_id), reason, at);
	count(&greeting->session.counts->bad_headers, 1);
	record_turned_away(&greeting->session, "bad_proxy_header");
	end(greeting);
}

/* The protocol's own session is counted before this one goes, so that a draining worker does not
 * think that it was the last. */
static void pass_on(struct greeting *greeting, const struct proxied *proxied)
{
	struct arrival *arrival = &greeting->arrival;

	if (proxied->known) {
		arrival->peer = proxied->from;
		arrival->local = proxied->to;
	}
	arrival->fd = transport_give_away(&greeting->transport);
	arrival_serve(arrival);
	leave(greeting);
}

static void take_header(struct greeting *greeting, size_t len, const struct proxied *proxied)
{
	char header[PROXY_PROTOCOL_MAX];

	if (transport_read(&greeting->transport, header, len) == (ssize_t)len)
		pass_on(greeting, proxied);
	else
		end(greeting);
}

static void on_ready(struct source *source)
{
	struct greeting *greeting = container_of(source, struct greeting, transport.source);
	struct proxied_refusal refusal = {.reason = "no_header"};
	struct proxied proxied = {0};
	char header[PROXY_PROTOCOL_MAX];
	ssize_t n, len;

	if (!transport_pending(&greeting->transport))
		return;
	n = transport_peek(&greeting->transport, header, sizeof(header));
	if (n == -EAGAIN)
		return;
	if (n <= 0) {
		end(greeting);
		return;
	}
	len = proxy_protocol_parse((struct slice){header, (size_t)n}, &proxied, &refusal);
	if (len < 0)
		refuse(greeting, refusal.reason, refusal.at);
	else if (len > 0)
		take_header(greeting, (size_t)len, &proxied);
	else if (transport_hung_up(&greeting->transport))
		refuse(greeting, "closed", (size_t)n);
}

static void on_timer(struct timer *timer)
{
	struct greeting *greeting = container_of(timer, struct greeting, timer);

	refuse(greeting, "timeout", 0);
}

/* The listener it came through closes: what comes next is its last request. */
static void retire(struct session *session)
{
	struct greeting *greeting = container_of(session, struct greeting, session);

	greeting->arrival.last = true;
	if (!transport_pending(&greeting->transport))
		end(greeting);
}

static void abort_greeting(struct session *session)
{
	end(container_of(session, struct greeting, session));
}

static void describe(const struct session *session, struct session_info *ret_info)
{
	const struct snapshot *snapshot = worker_snapshot(session->worker);
	const struct snapshot_service *service =
		snapshot ? snapshot_find(snapshot, session->service_id) : NULL;
	bool http = service && service->spec->protocol == PROTOCOL_HTTP;

	*ret_info = (struct session_info){
		.protocol = http ? "http" : "tcp",
		.state = "greeting",
		.backend = "",
		.request = "",
	};
}

static const struct session_ops greeting_ops = {
	.describe = describe,
	.retire = retire,
	.abort = abort_greeting,
};

void greeting_accept(const struct arrival *arrival, uint32_t timeout_ms)
{
	struct worker *worker = arrival->worker;
	struct greeting *greeting = calloc(1, sizeof(*greeting));

	if (!greeting) {
		transport_drop(arrival->fd);
		return;
	}
	session_init(&greeting->session, &greeting_ops, arrival);
	greeting->arrival = *arrival;
	timer_init(&greeting->timer, on_timer);
	if (transport_open(&greeting->transport, worker->loop, arrival->fd, on_ready) < 0) {
		free(greeting);
		return;
	}
	worker_session_added(worker, &greeting->session);
	timer_start(worker->loop, &greeting->timer, timeout_ms);
}

int greeting_put(enum proxy_protocol version, const struct session *session,
		 const struct transport *client, struct wire *out)
{
	struct addr local = session->local;

	if (WIRE_ROOM - out->len < PROXY_PROTOCOL_ROOM)
		return -EMSGSIZE;
	if (local.port == 0)
		socket_local(client->source.fd, &local);
	out->len += (uint32_t)proxy_protocol_write(version == PROXY_PROTOCOL_V1 ? 1 : 2,
						   &session->peer, &local, out->data + out->len);
	return 0;
}
