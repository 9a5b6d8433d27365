/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "proxy/patience.h"

#include "proxy/http1_client.h"

enum exchange_wait patience_for(const struct exchange *x)
{
	const struct channel *client = &x->client->channel;

	switch (x->state) {
	case EXCHANGE_QUEUED:
		return WAIT_QUEUE;
	case EXCHANGE_CONNECTING:
		return WAIT_CONNECT;
	case EXCHANGE_REQUESTING:
		if (!client->reader.done && !x->deaf && channel_flushed(&x->upstream->channel))
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

uint32_t patience_ms(const struct timeouts_spec *timeouts, enum exchange_wait wait)
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

const struct channel *patience_taker(const struct exchange *x, enum exchange_wait wait)
{
	if (wait == WAIT_CLIENT_READ)
		return &x->client->channel;
	if (wait == WAIT_RESPONSE_HEAD && !channel_flushed(&x->upstream->channel))
		return &x->upstream->channel;
	return NULL;
}
