/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "proxy/exchange.h"

#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "proxy/admission.h"
#include "proxy/attempt.h"
#include "proxy/client_answer.h"
#include "proxy/http1_client.h"
#include "proxy/patience.h"
#include "proxy/record.h"
#include "proxy/tunnel.h"

static void on_timer(struct timer *timer);

struct exchange *exchange_new(struct worker *worker, struct client *client)
{
	struct exchange *x = worker->free_exchanges;

	if (x) {
		worker->free_exchanges = x->next_free;
		worker->n_free_exchanges--;
	} else {
		x = malloc(sizeof(*x));
	}
	if (!x)
		return NULL;
	memset(x, 0, offsetof(struct exchange, request_id));
	x->worker = worker;
	x->client = client;
	timer_init(&x->timer, on_timer);
	return x;
}

static void give_back(struct exchange *x)
{
	struct worker *worker = x->worker;

	if (worker->n_free_exchanges >= WORKER_KEEP_EXCHANGES) {
		free(x);
		return;
	}
	x->next_free = worker->free_exchanges;
	worker->free_exchanges = x;
	worker->n_free_exchanges++;
}

void exchanges_fini(struct worker *worker)
{
	while (worker->free_exchanges) {
		struct exchange *x = worker->free_exchanges;

		worker->free_exchanges = x->next_free;
		free(x);
	}
	worker->n_free_exchanges = 0;
}

/* What a step says: wait for a socket, go on with the next state, do so late in this turn (what
 * comes next is a write), or <x> is gone. */
enum flow { FLOW_WAIT, FLOW_AGAIN, FLOW_LATE, FLOW_ENDED };

/* Lets go of everything but the client, which has to be told by the caller, after this. */
static void end(struct exchange *x, bool keep_upstream)
{
	x->state = EXCHANGE_ENDED;
	timer_stop(x->worker->loop, &x->timer);
	waiter_leave(x->waiter);
	x->waiter = NULL;
	attempt_end(x, keep_upstream);
	buffer_give(&x->worker->buffers, x->request);
	buffer_give(&x->worker->buffers, x->reply);
	x->request = NULL;
	x->reply = NULL;
}

void exchange_abort(struct exchange *x)
{
	end(x, false);
	give_back(x);
}

/* Before a response has begun. */
static enum flow refuse(struct exchange *x, unsigned status, const char *why)
{
	struct client *client = x->client;

	end(x, false);
	give_back(x);
	client_exchange_refused(client, status, why);
	return FLOW_ENDED;
}

/* In the middle of a response: the client must see that it is cut short. */
static enum flow cut(struct exchange *x, const char *why)
{
	struct client *client = x->client;

	end(x, false);
	give_back(x);
	client_exchange_cut(client, why);
	return FLOW_ENDED;
}

static enum flow client_left(struct exchange *x)
{
	log_debug("request of service '%s' at backend '%s' ended: client_closed",
		  worker_service_name(x->worker, x->service_id), x->backend);
	return cut(x, "client_closed");
}

/* The client's own fault, found after its head was accepted. */
static enum flow blame_client(struct exchange *x, unsigned status, const char *why)
{
	if (worker_may_log(x->worker))
		log_warning("request of service '%s' at backend '%s' refused with %u: %s",
			    worker_service_name(x->worker, x->service_id), x->backend, status, why);
	return x->state == EXCHANGE_REQUESTING ? refuse(x, status, why) : cut(x, why);
}

static enum flow complete(struct exchange *x)
{
	struct client *client = x->client;

	end(x, true);
	give_back(x);
	client_exchange_done(client);
	return FLOW_ENDED;
}

/* The one function that moves the state; ENDED is reached through end() alone. */
static void enter(struct exchange *x, enum exchange_state state)
{
	x->state = state;
	x->wait = WAIT_NOTHING;
}

static void log_no_room(const struct exchange *x)
{
	if (worker_may_log(x->worker))
		log_warning("request of service '%s' refused: %s in pool '%s'",
			    worker_service_name(x->worker, x->service_id), x->why,
			    worker_pool_name(x->worker, x->pool));
}

static enum flow choose(struct exchange *x)
{
	unsigned status = 502;
	enum exchange_state next = attempt_start(x, &status);

	if (next != EXCHANGE_ENDED) {
		enter(x, next);
		return next == EXCHANGE_REQUESTING ? FLOW_LATE : FLOW_AGAIN;
	}
	if (status == 503)
		log_no_room(x);
	return refuse(x, status, x->why);
}

/* Room is told by exchange_admitted(). */
static enum flow queued(struct exchange *x)
{
	return client_gone(x->client) ? client_left(x) : FLOW_WAIT;
}

static enum flow lost_by(struct exchange *x, enum retry_on cause, const char *why)
{
	if (attempt_lost(x, cause, why)) {
		enter(x, EXCHANGE_CHOOSING);
		return FLOW_AGAIN;
	}
	return refuse(x, x->timed_out ? 504 : 502, why);
}

static enum flow lost(struct exchange *x, enum retry_on cause, const char *why)
{
	x->timed_out = false;
	return lost_by(x, cause, why);
}

static enum flow too_late(struct exchange *x, enum retry_on cause, const char *why)
{
	x->timed_out = true;
	return lost_by(x, cause, why);
}

static enum flow connecting(struct exchange *x)
{
	int err = upstream_connected(x->upstream);

	if (err == -EINPROGRESS)
		return client_gone(x->client) ? client_left(x) : FLOW_WAIT;
	if (err < 0)
		return lost(x, RETRY_CONNECT,
			    err == -ECONNREFUSED ? "connect_refused" : "connect_failed");
	record_connected(x->client->record);
	enter(x, EXCHANGE_REQUESTING);
	return FLOW_LATE;
}

/* Moves the request's body. */
static enum flow send_request(struct exchange *x, uint64_t *progress)
{
	struct channel *from = &x->client->channel;
	struct pump pump = {.from = from, .to = &x->upstream->channel};

	if (x->deaf)
		return FLOW_WAIT;
	switch (channel_pump(&pump)) {
	case PUMP_AGAIN:
		loop_run_again(x->worker->loop, &from->transport.source);
		break;
	case PUMP_TO_ERROR:
		/* It may have answered before it closed: the response is read first. */
		x->deaf = true;
		break;
	case PUMP_MALFORMED:
		return blame_client(x, pump.refusal.status, pump.refusal.reason);
	case PUMP_TRUNCATED:
	case PUMP_FROM_ERROR:
		return client_left(x);
	default:
		break;
	}
	*progress += pump.moved;
	return FLOW_WAIT;
}

static enum flow backend_malformed(struct exchange *x, const char *why)
{
	attempt_failed(x, why);
	return refuse(x, 502, why);
}

static void prepare_bodies(struct exchange *x, const struct http_head *head,
			   enum http_framing framing)
{
	struct channel *up = &x->upstream->channel;

	up->hold = false;
	if (channel_flushed(up))
		channel_flush(up); /* gives the wire back */
	x->upstream->keep_alive = head->keep_alive;
	body_reader_begin(&up->reader, head);
	body_writer_init(&x->client->channel.writer, framing);
}

static enum flow begin_tunnel(struct exchange *x, struct http_head *head, size_t len)
{
	if (!x->upgrade || !x->client->channel.reader.done)
		return backend_malformed(x, "unexpected_upgrade");
	if (client_put_upgrade(x->client, head) < 0)
		return backend_malformed(x, "response_head_too_large");
	record_answered(x->client->record, true);
	head->framing = HTTP_BODY_UNTIL_CLOSE;
	upstream_head_used(x->upstream, len);
	prepare_bodies(x, head, HTTP_BODY_UNTIL_CLOSE);
	tunnel_init(&x->client->channel, &x->upstream->channel);
	enter(x, EXCHANGE_TUNNEL);
	return FLOW_AGAIN;
}

static enum flow begin_response(struct exchange *x, struct http_head *head, size_t len)
{
	/* An early response: what is left of the request is not worth the connection. */
	bool whole = x->client->channel.reader.done && x->upstream->channel.writer.done && !x->deaf;
	enum http_framing framing;

	if (client_put_response(x->client, head, x->method, whole, &framing) < 0)
		return backend_malformed(x, "response_head_too_large");
	record_answered(x->client->record, false);
	live_latency(x->live, loop_now_us(x->worker->loop) - x->asked_us);
	prepare_bodies(x, head, framing);
	upstream_head_used(x->upstream, len);
	enter(x, EXCHANGE_RESPONDING);
	return FLOW_LATE;
}

/* The backend's own excuse, which another backend may not have. */
static bool retry_instead(struct exchange *x, unsigned status)
{
	static const struct {
		unsigned status;
		enum retry_on cause;
		const char *why;
	} excuses[] = {
		{502, RETRY_502, "status_502"},
		{503, RETRY_503, "status_503"},
		{504, RETRY_504, "status_504"},
	};

	for (size_t i = 0; i < sizeof(excuses) / sizeof(excuses[0]); i++) {
		if (status == excuses[i].status && attempt_may_repeat(x, excuses[i].cause))
			return attempt_lost(x, excuses[i].cause, excuses[i].why);
	}
	return false;
}

static enum flow take_head(struct exchange *x, struct http_head *head, size_t len)
{
	if (head->status == 101)
		return begin_tunnel(x, head, len);
	if (head->status >= 502 && retry_instead(x, head->status)) {
		enter(x, EXCHANGE_CHOOSING);
		return FLOW_AGAIN;
	}
	if (head->status >= 200)
		return begin_response(x, head, len);
	if (++x->n_interim > EXCHANGE_MAX_INTERIM)
		return backend_malformed(x, "too_many_interim_responses");
	if (client_put_interim(x->client, head) < 0)
		return backend_malformed(x, "response_head_too_large");
	upstream_head_used(x->upstream, len);
	x->expects = x->expects && head->status != 100;
	x->wait = WAIT_NOTHING; /* the backend is at work: its time begins anew */
	return FLOW_AGAIN;
}

static enum flow requesting(struct exchange *x, uint64_t *progress)
{
	struct http_head *head = &x->worker->head;
	const char *why = "bad_response";
	ssize_t n;

	if (client_gone(x->client))
		return client_left(x);
	if (send_request(x, progress) == FLOW_ENDED)
		return FLOW_ENDED;
	/* What the client did not take of an interim response, at once. An error shows when the
	 * response is written. */
	(void)channel_flush(&x->client->channel);
	n = upstream_read_head(x->upstream, x->method, head, &why);
	if (n > 0)
		return take_head(x, head, (size_t)n);
	if (n == -EBADMSG)
		return backend_malformed(x, why);
	if (n < 0)
		return lost(x, RETRY_CLOSED, n == -EPIPE ? "closed" : "reset");
	if (x->deaf && upstream_received(x->upstream) == 0)
		return lost(x, RETRY_CLOSED, "reset");
	return FLOW_WAIT;
}

static const char *cut_word(enum pump_result result, const struct pump *pump)
{
	if (result == PUMP_MALFORMED)
		return pump->refusal.reason;
	return result == PUMP_TRUNCATED ? "body_truncated" : "body_reset";
}

static enum flow responding(struct exchange *x, uint64_t *progress)
{
	struct channel *from = &x->upstream->channel;
	struct pump pump = {.from = from, .to = &x->client->channel};
	enum pump_result result;

	if (send_request(x, progress) == FLOW_ENDED)
		return FLOW_ENDED;
	result = channel_pump(&pump);
	*progress += pump.moved;
	switch (result) {
	case PUMP_BLOCKED:
		/* Between two parts of a response nothing else would tell. */
		return transport_broken(&pump.to->transport) ? client_left(x) : FLOW_WAIT;
	case PUMP_AGAIN:
		loop_run_again(x->worker->loop, &from->transport.source);
		return FLOW_WAIT;
	case PUMP_DONE:
		return complete(x);
	case PUMP_TO_ERROR:
		return client_left(x);
	default:
		attempt_failed(x, cut_word(result, &pump));
		return cut(x, x->why);
	}
}

static enum flow tunnelling(struct exchange *x, uint64_t *progress)
{
	int open = tunnel_run(&x->client->channel, &x->upstream->channel, progress);

	if (open > 0)
		return FLOW_WAIT;
	return cut(x, open == 0 ? "ok" : "tunnel_reset");
}

static enum flow step(struct exchange *x, uint64_t *progress)
{
	switch (x->state) {
	case EXCHANGE_CHOOSING:
		return choose(x);
	case EXCHANGE_QUEUED:
		return queued(x);
	case EXCHANGE_CONNECTING:
		return connecting(x);
	case EXCHANGE_REQUESTING:
		return requesting(x, progress);
	case EXCHANGE_RESPONDING:
		return responding(x, progress);
	case EXCHANGE_TUNNEL:
		return tunnelling(x, progress);
	default:
		return FLOW_WAIT;
	}
}

/* Until then nobody is waited for. */
static void write_late(struct exchange *x)
{
	timer_stop(x->worker->loop, &x->timer);
	loop_run_late(x->worker->loop, &x->client->channel.transport.source);
}

/* Ends: every turn of it moves the state on, and tries are bounded. */
static void run(struct exchange *x)
{
	uint64_t progress = 0;
	enum flow flow;

	do {
		flow = step(x, &progress);
	} while (flow == FLOW_AGAIN);
	if (flow == FLOW_LATE)
		write_late(x);
	if (flow != FLOW_WAIT)
		return;
	attempt_count_bytes(x);
	client_count_bytes(x->client);
	patience_watch(x, progress);
}

void exchange_start(struct exchange *x)
{
	attempt_init(x);
	patience_init(x);
	enter(x, EXCHANGE_CHOOSING);
	run(x);
}

void exchange_admitted(void *exchange, uint16_t backend)
{
	struct exchange *x = exchange;

	x->waiter = NULL;
	x->admitted = backend;
	x->waited = true;
	enter(x, EXCHANGE_CHOOSING);
	run(x);
}

void exchange_run(struct exchange *x)
{
	run(x);
}

static enum flow bereft(struct exchange *x)
{
	static const char why[] = "backend_down";

	switch (x->state) {
	case EXCHANGE_CONNECTING:
		return lost(x, RETRY_CONNECT, why);
	case EXCHANGE_REQUESTING:
		return lost(x, RETRY_CLOSED, why);
	case EXCHANGE_RESPONDING:
	case EXCHANGE_TUNNEL:
		attempt_failed(x, why);
		return cut(x, why);
	default:
		return FLOW_WAIT;
	}
}

void exchange_backend_down(struct exchange *x)
{
	if (bereft(x) == FLOW_AGAIN)
		run(x);
}

static enum flow timed_out(struct exchange *x)
{
	switch (x->wait) {
	case WAIT_QUEUE:
		x->why = "queue_timeout";
		count(&x->client->session.counts->no_room, 1);
		log_no_room(x);
		return refuse(x, 503, x->why);
	case WAIT_CONNECT:
		return too_late(x, RETRY_CONNECT, "connect_timeout");
	case WAIT_CLIENT_BODY:
		return blame_client(x, 408, "client_body_timeout");
	case WAIT_RESPONSE_HEAD:
		return too_late(x, RETRY_TIMEOUT, "response_timeout");
	case WAIT_RESPONSE_BODY:
		attempt_failed(x, "body_timeout");
		return cut(x, x->why);
	case WAIT_CLIENT_READ:
		/* Or the kernel would keep what it did not take, while it answers probes. */
		transport_reset(&x->client->channel.transport);
		return cut(x, "client_read_timeout");
	default:
		return cut(x, "tunnel_timeout");
	}
}

static void on_timer(struct timer *timer)
{
	struct exchange *x = container_of(timer, struct exchange, timer);

	if (!patience_lasts(x) && timed_out(x) == FLOW_AGAIN)
		run(x);
}

void exchange_describe(const struct exchange *x, struct session_info *ret_info)
{
	static const char *const words[] = {
		[EXCHANGE_CHOOSING] = "choosing",     [EXCHANGE_QUEUED] = "queued",
		[EXCHANGE_CONNECTING] = "connecting", [EXCHANGE_REQUESTING] = "requesting",
		[EXCHANGE_RESPONDING] = "responding", [EXCHANGE_TUNNEL] = "tunnel",
		[EXCHANGE_ENDED] = "ended",
	};

	ret_info->state = words[x->state];
	ret_info->request = x->request_line;
	if (x->state == EXCHANGE_TUNNEL)
		ret_info->protocol = "tunnel";
	if (!x->live)
		return;
	ret_info->backend = x->backend;
	ret_info->backend_id = x->backend_id;
	ret_info->pool = x->pool;
}
