/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "proxy/client_answer.h"

#include <errno.h>

#include "proxy/error_reply.h"
#include "proxy/exchange.h"
#include "proxy/forward.h"
#include "proxy/sticky.h"

void client_count_status(struct client *client, unsigned status)
{
	client->answered = true;
	client->status = status;
	count(&client->session.counts->status[status / 100 < 6 ? status / 100 : 0], 1);
}

/* Not while a body that nobody reads is still to come. That HTTP/1.0 may go on would have to be
 * said, which is not worth it (RFC 9112 section 9.3). */
bool client_ends_after_answer(struct client *client)
{
	const struct worker *worker = client->session.worker;

	client->keep_alive = client->keep_alive && client->minor > 0 &&
			     client->channel.reader.done && !client->retiring && !worker->draining;
	return !client->keep_alive;
}

int client_put_error(struct client *client, unsigned status)
{
	struct channel *channel = &client->channel;
	struct error_reply error = {
		.status = status,
		.head_only = client->head_only,
		.close = client_ends_after_answer(client),
		.date = worker_date(client->session.worker),
	};
	struct wire *out = channel_out(channel);

	if (!out || WIRE_ROOM - out->len < ERROR_REPLY_MAX)
		return -ENOBUFS;
	client_count_status(client, status);
	error_reply_write(&error, out);
	return 0;
}

/* What the exchange has noted for the head of its response, once. */
static int put_noted(struct client *client, struct forward_response *forward,
		     struct http_head *head, struct wire *out)
{
	struct exchange *x = client->exchange;
	char token[STICKY_TOKEN_LEN];
	struct reply_backend backend;
	int err;

	if (!x->reply)
		return forward_response_put(forward, head, out);
	backend = (struct reply_backend){
		.name = slice_of(x->backend),
		.token = sticky_write(x->token, token),
		.moved = x->token != x->sticky,
	};
	forward->notes = wire_slice(x->reply);
	forward->backend = &backend;
	err = forward_response_put(forward, head, out);
	forward->backend = NULL;
	buffer_give(&x->worker->buffers, x->reply);
	x->reply = NULL;
	return err;
}

int client_put_response(struct client *client, struct http_head *head, enum http_method method,
			bool whole, enum http_framing *ret_framing)
{
	struct wire *out = channel_out(&client->channel);
	struct forward_response forward = {
		.client_minor = client->minor,
		.framing = forward_framing(head, client->minor),
		.method = method,
		.keep_alive = client->keep_alive && whole && !client->retiring &&
			      !client->session.worker->draining,
	};
	int err;

	if (forward.framing == HTTP_BODY_UNTIL_CLOSE)
		forward.keep_alive = false;
	if (!http_find(head, HTTP_H_DATE))
		forward.date = worker_date(client->session.worker);
	err = out ? put_noted(client, &forward, head, out) : -ENOMEM;
	if (err < 0)
		return err;
	client->keep_alive = forward.keep_alive;
	client_count_status(client, head->status);
	*ret_framing = forward.framing;
	return 0;
}

/* 1xx are for clients that know them (RFC 9110 section 15.2). */
int client_put_interim(struct client *client, struct http_head *head)
{
	struct forward_response forward = {.client_minor = client->minor};
	struct wire *out;
	int err;

	if (client->minor == 0)
		return 0;
	out = channel_out(&client->channel);
	err = out ? forward_response_put(&forward, head, out) : -ENOMEM;
	if (err < 0)
		return err;
	channel_flush(&client->channel); /* an error shows when the response is written */
	return 0;
}

int client_put_upgrade(struct client *client, struct http_head *head)
{
	struct forward_response forward = {.client_minor = client->minor, .upgrade = true};
	struct wire *out = channel_out(&client->channel);
	int err = out ? put_noted(client, &forward, head, out) : -ENOMEM;

	if (err < 0)
		return err;
	client->keep_alive = false;
	client_count_status(client, head->status);
	return 0;
}
