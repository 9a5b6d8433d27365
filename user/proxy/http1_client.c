/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "proxy/http1_client.h"

#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "proxy/client_answer.h"
#include "proxy/client_close.h"
#include "proxy/client_request.h"
#include "proxy/exchange.h"
#include "proxy/last_error.h"
#include "proxy/listener.h"
#include "proxy/record.h"

void client_count_bytes(struct client *client)
{
	const struct channel *channel = &client->channel;

	if (channel->received != client->counted_in || channel->sent != client->counted_out)
		client->session.active_ms = loop_now_ms(client->session.worker->loop);
	count(&client->session.counts->bytes_in, channel->received - client->counted_in);
	count(&client->session.counts->bytes_out, channel->sent - client->counted_out);
	client->counted_in = channel->received;
	client->counted_out = channel->sent;
}

/* The line of the access log. */
static void finish(struct client *client, const char *why)
{
	record_end(client->record, &client->channel, client->answered ? client->status : 0, why);
	client->record = NULL;
}

static void reply(struct client *client, unsigned status)
{
	if (client_put_error(client, status) < 0)
		client_close(client);
}

static void refuse(struct client *client, unsigned status, const char *why)
{
	if (worker_may_log(client->session.worker)) {
		char peer[ADDR_TEXT_LEN];

		log_warning("request of '%s' to service '%s' refused with %u: %s",
			    addr_format(&client->session.peer, peer),
			    worker_service_name(client->session.worker, client->session.service_id),
			    status, why);
	}
	if (!client->record)
		client->record =
			record_begin(&client->session, &client->channel, NULL, client->began_us);
	client->keep_alive = false;
	client->channel.reader.done = false; /* what follows is not understood: linger */
	reply(client, status);
	finish(client, why);
	if (client->state != CLIENT_CLOSED)
		client_close_softly(client);
}

/* A whole answer that no backend has given is in the wire. */
static void answered(struct client *client)
{
	if (!client->keep_alive || channel_flush(&client->channel) < 0 ||
	    !channel_flushed(&client->channel))
		client_close_softly(client);
	else
		client_exchange_done(client);
}

/* ---- Requests ------------------------------------------------------------------------------ */

/* A whole head of <len> bytes is in the wire. */
static void begin_request(struct client *client, struct http_head *head, size_t len)
{
	struct worker *worker = client->session.worker;
	struct client_refusal refusal = {.status = 500, .why = "no_memory"};
	struct exchange *exchange;

	count(&client->session.counts->requests, 1);
	client->requests++;
	client->answered = false;
	client->minor = head->minor;
	client->head_only = head->method == HTTP_HEAD;
	client->keep_alive = head->keep_alive && !client->retiring && !worker->draining;
	client->record = record_begin(&client->session, &client->channel, head, client->began_us);
	body_reader_begin(&client->channel.reader, head);
	exchange = client_request_new(client, head, &refusal);
	if (!exchange && !refusal.why) {
		channel_consume(&client->channel, len);
		client_count_status(client, refusal.status);
		finish(client, "ok");
		answered(client);
		return;
	}
	if (!exchange) {
		channel_consume(&client->channel, len);
		refuse(client, refusal.status, refusal.why);
		return;
	}
	channel_consume(&client->channel, len);
	timer_stop(worker->loop, &client->timer);
	client->exchange = exchange;
	client_enter(client, CLIENT_BUSY);
	exchange_start(exchange);
}

static void refuse_bytes(struct client *client, const struct http_refusal *refusal)
{
	struct noted_error noted = {
		.service_id = client->session.service_id,
		.peer = client->session.peer,
		.bytes = wire_slice(client->channel.in),
		.refusal = *refusal,
	};

	last_error_note(client->session.worker, &noted);
	refuse(client, refusal->status, refusal->reason);
}

/* True when the wire has been dealt with: a request or a refusal. */
static bool parse(struct client *client)
{
	struct http_head *head = &client->session.worker->head;
	struct http_refusal refusal = {.status = 400, .reason = "bad_request"};
	ssize_t n = http_parse_request(wire_slice(client->channel.in), head, &refusal);

	if (n == 0)
		return false;
	if (n < 0) {
		refuse_bytes(client, &refusal);
		return true;
	}
	http_complete_target(head, client->channel.in->data);
	begin_request(client, head, (size_t)n);
	return true;
}

/* The client has closed; with half a head said, that was a request. */
static void left_early(struct client *client)
{
	if (client->state == CLIENT_HEAD)
		client->record =
			record_begin(&client->session, &client->channel, NULL, client->began_us);
	finish(client, "client_closed");
	client_close(client);
}

static void read_request(struct client *client)
{
	struct channel *channel = &client->channel;

	for (;;) {
		ssize_t n;

		if (wire_left(channel->in) > 0 && client->state == CLIENT_IDLE) {
			client_enter(client, CLIENT_HEAD);
			client->began_us = loop_now_us(client->session.worker->loop);
			client->answered = false;
			client_patience(client, client->timeouts.client_header);
		}
		if (wire_left(channel->in) > 0 && parse(client))
			return;
		if (!transport_pending(&channel->transport))
			return;
		n = channel_read(channel);
		if (n == -EAGAIN)
			return;
		if (n == -ENOBUFS) {
			refuse(client, 431, "head_too_large");
			return;
		}
		if (n <= 0) {
			left_early(client);
			return;
		}
	}
}

static void on_ready(struct source *source)
{
	struct client *client = container_of(source, struct client, channel.transport.source);

	switch (client->state) {
	case CLIENT_IDLE:
	case CLIENT_HEAD:
		read_request(client);
		break;
	case CLIENT_BUSY:
		exchange_run(client->exchange);
		break;
	case CLIENT_CLOSING:
	case CLIENT_LINGER:
		client_go_on_closing(client);
		break;
	case CLIENT_CLOSED:
		break;
	}
}

static void on_timer(struct timer *timer)
{
	struct client *client = container_of(timer, struct client, timer);

	if (client->state == CLIENT_HEAD)
		refuse(client, 408, "client_header_timeout");
	else
		client_close(client);
}

/* ---- For exchanges ------------------------------------------------------------------------- */

/* Behind what we have read of a client that has closed its half. */
static bool has_said_more(struct channel *channel)
{
	char byte;

	return channel->in || transport_peek(&channel->transport, &byte, 1) > 0;
}

/* A FIN is what a client leaves that has given up, and what one sends that has asked all it wants.
 * Who asked for the connection to end, or for more, is taken to wait for the answer. */
bool client_gone(struct client *client)
{
	struct channel *channel = &client->channel;

	if (!transport_hung_up(&channel->transport))
		return false;
	if (transport_broken(&channel->transport))
		return true;
	return client->keep_alive && channel->reader.done && !has_said_more(channel);
}

/* Without a request. Who was not told that the connection ends may have one on its way, and closing
 * would reset it: it is awaited for a moment, and answered with "Connection: close". */
static void await_request(struct client *client)
{
	bool ends = client->retiring || client->session.worker->draining;
	uint32_t ms = client->timeouts.client_idle;

	client_patience(client, ends && ms > CLIENT_RETIRE_MS ? CLIENT_RETIRE_MS : ms);
}

void client_exchange_done(struct client *client)
{
	struct channel *channel = &client->channel;

	client->exchange = NULL;
	client_count_bytes(client);
	finish(client, "ok");
	if (!client->keep_alive) {
		client_close_softly(client);
		return;
	}
	client_enter(client, CLIENT_IDLE);
	client->head_only = false;
	await_request(client);
	if (channel->in || transport_pending(&channel->transport))
		loop_run_again(client->session.worker->loop, &channel->transport.source);
}

void client_exchange_refused(struct client *client, unsigned status, const char *why)
{
	client->exchange = NULL;
	reply(client, status);
	finish(client, why);
	if (client->state != CLIENT_CLOSED)
		answered(client);
}

void client_exchange_cut(struct client *client, const char *why)
{
	client->exchange = NULL;
	if (!client->answered)
		client_count_status(client, 0);
	finish(client, why);
	client_close_cut(client);
}

/* ---- Life ---------------------------------------------------------------------------------- */

static void retire(struct session *session)
{
	struct client *client = container_of(session, struct client, session);

	client->retiring = true;
	if (client->state == CLIENT_IDLE)
		await_request(client);
}

static void abort_client(struct session *session)
{
	struct client *client = container_of(session, struct client, session);

	if (client->exchange) {
		exchange_abort(client->exchange);
		client_exchange_cut(client, "ended");
		return;
	}
	finish(client, "ended");
	client_close(client);
}

static void backend_down(struct session *session)
{
	struct client *client = container_of(session, struct client, session);

	if (client->exchange)
		exchange_backend_down(client->exchange);
}

static void describe(const struct session *session, struct session_info *ret_info)
{
	static const char *const words[] = {
		[CLIENT_IDLE] = "idle",	    [CLIENT_HEAD] = "head",
		[CLIENT_BUSY] = "busy",	    [CLIENT_CLOSING] = "closing",
		[CLIENT_LINGER] = "linger", [CLIENT_CLOSED] = "closed",
	};
	const struct client *client = container_of(session, const struct client, session);

	*ret_info = (struct session_info){
		.protocol = "http",
		.state = words[client->state],
		.backend = "",
		.request = "",
		.requests = client->requests,
		.bytes_in = client->channel.received,
		.bytes_out = client->channel.sent,
	};
	if (client->exchange)
		exchange_describe(client->exchange, ret_info);
}

static const struct session_ops client_ops = {
	.describe = describe,
	.retire = retire,
	.abort = abort_client,
	.backend_down = backend_down,
};

void client_accept(const struct arrival *arrival)
{
	struct worker *worker = arrival->worker;
	const struct snapshot *snapshot = worker_snapshot(worker);
	const struct snapshot_service *service =
		snapshot ? snapshot_find(snapshot, arrival->service_id) : NULL;
	struct client *client = calloc(1, sizeof(*client));

	if (!client || !service) {
		transport_drop(arrival->fd);
		arrival_lost(arrival);
		free(client);
		return;
	}
	session_init(&client->session, &client_ops, arrival);
	client->timeouts = service->spec->timeouts;
	client->retiring = arrival->last;
	timer_init(&client->timer, on_timer);
	body_reader_init(&client->channel.reader, HTTP_BODY_NONE, 0);
	if (channel_open(&client->channel, worker->loop, &worker->buffers, arrival->fd, on_ready) <
	    0) {
		arrival_lost(arrival);
		free(client);
		return;
	}
	count(&client->session.counts->opened, 1);
	worker_session_added(worker, &client->session);
	client_patience(client, client->timeouts.client_header);
	if (arrival->refused)
		refuse(client, 429, arrival->refused);
}
