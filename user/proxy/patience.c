/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "proxy/patience.h"

#include "proxy/http1_client.h"

static uint64_t client_said(const struct exchange *x)
{
	const struct channel *channel = &x->client->channel;

	return channel->received - wire_left(channel->in);
}

void patience_init(struct exchange *x)
{
	x->said = client_said(x);
}

/* For 100 (Continue), which is for the backend to say. */
static bool client_waits(const struct exchange *x)
{
	return x->expects && client_said(x) == x->said;
}

static enum exchange_wait waits_for(const struct exchange *x)
{
	const struct channel *client = &x->client->channel;

	switch (x->state) {
	case EXCHANGE_QUEUED:
		return WAIT_QUEUE;
	case EXCHANGE_CONNECTING:
		return WAIT_CONNECT;
	case EXCHANGE_REQUESTING:
		if (!client->reader.done && !x->deaf && !client_waits(x) &&
		    channel_flushed(&x->upstream->channel))
			return WAIT_CLIENT_BODY;
		return WAIT_RESPONSE_HEAD;
	case EXCHANGE_RESPONDING:
		return channel_flushed(client) ? WAIT_RESPONSE_BODY : WAIT_CLIENT_READ;
	case EXCHANGE_TUNNEL:
		return WAIT_TUNNEL;
	default:
		return WAIT_NOTHING;
	}
}

static uint32_t patience_ms(const struct timeouts_spec *timeouts, enum exchange_wait wait)
{
	switch (wait) {
	case WAIT_QUEUE:
		return timeouts->queue;
	case WAIT_CONNECT:
		return timeouts->connect;
	case WAIT_CLIENT_BODY:
	case WAIT_CLIENT_READ:
		return timeouts->client_body;
	case WAIT_RESPONSE_HEAD:
		return timeouts->response_header;
	case WAIT_RESPONSE_BODY:
		return timeouts->response_idle;
	default:
		return timeouts->tunnel;
	}
}

/* Whom we wait for to take what is in our wire; NULL: we wait for something else. */
static const struct channel *taker(const struct exchange *x, enum exchange_wait wait)
{
	if (wait == WAIT_CLIENT_READ)
		return &x->client->channel;
	if (wait == WAIT_RESPONSE_HEAD && !channel_flushed(&x->upstream->channel))
		return &x->upstream->channel;
	return NULL;
}

static void begin(struct exchange *x)
{
	uint32_t ms = patience_ms(&x->timeouts, x->wait);

	timer_start(x->worker->loop, &x->timer, taker(x, x->wait) ? (ms + 1) / 2 : ms);
}

/*
 * The kernel says that a socket can be written when a good part of what it holds has gone out (see
 * tcp_stream_memory_free and sk_stream_is_writeable in Linux): a peer that reads steadily, but
 * slowly, may need minutes for that. So the time is halved, and after each half the kernel is asked
 * what the peer has taken: it is given up after a whole time without a write, if it took nothing in
 * the second half.
 */
bool patience_lasts(struct exchange *x)
{
	const struct channel *to = taker(x, x->wait);
	uint64_t before = x->taken;
	bool looked = x->looked;

	if (!to)
		return false;
	x->taken = to->sent - transport_unacked(&to->transport);
	x->looked = true;
	if (looked && x->taken == before)
		return false;
	begin(x);
	return true;
}

void patience_watch(struct exchange *x, uint64_t progress)
{
	enum exchange_wait wait = waits_for(x);

	if (wait == x->wait && progress == 0)
		return;
	x->wait = wait;
	x->looked = false;
	begin(x);
}
