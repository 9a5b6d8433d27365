/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "proxy/http1_upstream.h"

#include <errno.h>
#include <stdlib.h>

#include "net/socket.h"
#include "proxy/admission.h"
#include "proxy/exchange.h"
#include "proxy/last_error.h"

static void on_ready(struct source *source)
{
	struct upstream *upstream = container_of(source, struct upstream, channel.transport.source);

	if (upstream->exchange) {
		exchange_run(upstream->exchange);
		return;
	}
	/* Nothing may come while no request is out: the end, or bytes that belong to nobody. */
	if (source->ready & (LOOP_READ | LOOP_HANGUP)) {
		upstream_pool_remove(&upstream->worker->upstreams, upstream);
		upstream_close(upstream);
	}
}

int upstream_connect(struct worker *worker, uint16_t backend, const struct addr *addr,
		     struct upstream **ret_upstream)
{
	struct upstream *upstream = calloc(1, sizeof(*upstream));
	int fd, err;

	if (!upstream)
		return -ENOMEM;
	upstream->worker = worker;
	upstream->backend = backend;
	upstream->addr = *addr;
	list_init(&upstream->node);
	list_init(&upstream->age);
	err = socket_connect_tcp(addr, &fd);
	if (err >= 0)
		err = channel_open(&upstream->channel, worker->loop, &worker->buffers, fd,
				   on_ready);
	if (err < 0) {
		free(upstream);
		return err;
	}
	*ret_upstream = upstream;
	return 0;
}

int upstream_connected(struct upstream *upstream)
{
	const struct transport *transport = &upstream->channel.transport;
	int err;

	if (!(transport->source.ready & (LOOP_WRITE | LOOP_HANGUP)))
		return -EINPROGRESS;
	err = socket_connected(transport->source.fd);
	if (err < 0)
		return err;
	return transport_writable(transport) ? 0 : -ECONNRESET;
}

static void free_upstream(struct deferred *deferred)
{
	free(container_of(deferred, struct upstream, freeing));
}

void upstream_close(struct upstream *upstream)
{
	if (!upstream)
		return;
	upstream->exchange = NULL;
	channel_close(&upstream->channel);
	upstream->freeing.run = free_upstream;
	loop_defer(upstream->worker->loop, &upstream->freeing);
}

void upstream_attach(struct upstream *upstream, struct exchange *exchange, struct wire *request,
		     const struct body_writer *writer)
{
	upstream->exchange = exchange;
	upstream->keep_alive = false;
	upstream->sent_before = upstream->channel.sent;
	upstream->received_before = upstream->channel.received;
	upstream->channel.out = request;
	upstream->channel.hold = true;
	upstream->channel.writer = *writer;
}

struct wire *upstream_take_request(struct upstream *upstream)
{
	struct wire *request = upstream->channel.out;

	if (!upstream_has_request(upstream))
		return NULL;
	upstream->channel.out = NULL;
	request->pos = 0;
	return request;
}

void upstream_release(struct upstream *upstream)
{
	struct channel *channel = &upstream->channel;
	bool clean = channel->reader.done && channel->writer.done && channel_flushed(channel) &&
		     !channel->in && !channel->eof && !channel->hold;

	upstream->exchange = NULL;
	if (!clean || !upstream->keep_alive || upstream->worker->draining ||
	    admission_barred(upstream->worker->shared->admission, upstream->backend) ||
	    !upstream_usable(upstream, false)) {
		upstream_close(upstream);
		return;
	}
	upstream->reused = true;
	upstream_pool_put(&upstream->worker->upstreams, upstream);
}

bool upstream_usable(const struct upstream *upstream, bool sure)
{
	const struct transport *transport = &upstream->channel.transport;

	if (sure)
		return transport_quiet(transport);
	return !transport_pending(transport) && !transport_hung_up(transport);
}

static void note_error(const struct upstream *upstream, const struct http_refusal *refusal)
{
	const struct exchange *x = upstream->exchange;
	struct noted_error noted = {
		.service_id = x->service_id,
		.peer = x->key.client,
		.backend = x->backend,
		.bytes = wire_slice(upstream->channel.in),
		.refusal = *refusal,
	};

	last_error_note(upstream->worker, &noted);
}

static ssize_t parse(struct upstream *upstream, enum http_method method, struct http_head *head,
		     const char **ret_why)
{
	struct http_refusal refusal = {.reason = "bad_response"};
	ssize_t n = http_parse_response(wire_slice(upstream->channel.in), method, head, &refusal);

	if (n < 0) {
		*ret_why = refusal.reason;
		note_error(upstream, &refusal);
	}
	return n;
}

ssize_t upstream_read_head(struct upstream *upstream, enum http_method method,
			   struct http_head *head, const char **ret_why)
{
	struct channel *channel = &upstream->channel;

	for (;;) {
		ssize_t n = wire_left(channel->in) ? parse(upstream, method, head, ret_why) : 0;

		if (n != 0)
			return n;
		if (channel->eof)
			return -EPIPE;
		if (!transport_pending(&channel->transport))
			return 0;
		n = channel_read(channel);
		if (n == -EAGAIN)
			return 0;
		if (n == -ENOBUFS) {
			*ret_why = "response_head_too_large";
			return -EBADMSG;
		}
		if (n < 0)
			return n;
	}
}

void upstream_head_used(struct upstream *upstream, size_t len)
{
	channel_consume(&upstream->channel, len);
}
