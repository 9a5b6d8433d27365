/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "proxy/client_close.h"

#include <errno.h>
#include <stdlib.h>

static void free_client(struct deferred *deferred)
{
	free(container_of(deferred, struct client, freeing));
}

void client_close(struct client *client)
{
	struct worker *worker = client->session.worker;

	if (client->state == CLIENT_CLOSED)
		return;
	client_enter(client, CLIENT_CLOSED);
	client_count_bytes(client);
	timer_stop(worker->loop, &client->timer);
	channel_close(&client->channel);
	count(&client->session.counts->closed, 1);
	client->freeing.run = free_client;
	loop_defer(worker->loop, &client->freeing);
	worker_session_gone(worker, &client->session);
}

/* Throws away what comes. */
static void linger(struct client *client)
{
	struct channel *channel = &client->channel;
	uint64_t before = channel->received;

	while (transport_pending(&channel->transport)) {
		ssize_t n = channel_read(channel);

		if (n == 0 || (n < 0 && n != -EAGAIN)) {
			client_close(client);
			return;
		}
		if (n < 0)
			return;
		channel_consume(channel, wire_left(channel->in));
		if (channel->received - before >= CHANNEL_BUDGET) {
			loop_run_again(client->session.worker->loop, &channel->transport.source);
			return;
		}
	}
}

/* RFC 9112 section 9.6: closing with unread bytes would reset the connection and may destroy the
 * answer. */
static void write_out(struct client *client)
{
	struct channel *channel = &client->channel;

	if (channel_flush(channel) < 0) {
		client_close(client);
		return;
	}
	if (!channel_flushed(channel))
		return;
	if (channel->reader.done && !channel->in && !transport_pending(&channel->transport)) {
		client_close(client);
		return;
	}
	transport_shutdown(&channel->transport);
	client_enter(client, CLIENT_LINGER);
	channel_consume(channel, wire_left(channel->in));
	client_patience(client, CLIENT_LINGER_MS);
	linger(client);
}

void client_close_softly(struct client *client)
{
	client_enter(client, CLIENT_CLOSING);
	client_patience(client, client->timeouts.client_body);
	write_out(client);
}

void client_close_cut(struct client *client)
{
	struct channel *channel = &client->channel;
	bool gone = channel_flush(channel) < 0;
	bool whole = channel->writer.done && channel_flushed(channel);

	if (!gone && !whole && channel->writer.framing == HTTP_BODY_UNTIL_CLOSE)
		transport_reset(&channel->transport);
	client_close(client);
}

void client_go_on_closing(struct client *client)
{
	if (client->state == CLIENT_LINGER)
		linger(client);
	else
		write_out(client);
}
