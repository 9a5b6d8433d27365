/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One HTTP/1 connection of a client: reads requests, writes responses, one exchange at a time.
 *
 * For: listeners (client_accept), exchanges (the rest). Owns: its channel and its exchange.
 * May know: http, routes, snapshots. Must never know: balancing, retries, backends.
 * Pipelined requests wait in the wire until the one before is answered, so answers are in order.
 */
#ifndef PROXY_HTTP1_CLIENT_H
#define PROXY_HTTP1_CLIENT_H

#include "proxy/channel.h"
#include "proxy/session.h"
#include "proxy/worker.h"

#define CLIENT_LINGER_MS 2000 /* how long what a refused client still sends is read */
#define CLIENT_RETIRE_MS 5000 /* how long an idle connection that must end waits for a request */

struct exchange;
struct record;

enum client_state {
	CLIENT_IDLE,	/* no byte of a request has come */
	CLIENT_HEAD,	/* part of a head has */
	CLIENT_BUSY,	/* its exchange drives the connection */
	CLIENT_CLOSING, /* the last answer is written out */
	CLIENT_LINGER,	/* our half is closed; what comes is thrown away, so that no RST overtakes
			   the answer */
	CLIENT_CLOSED,
};

struct client {
	struct session session;
	struct channel channel;
	enum client_state state;
	struct exchange *exchange; /* HTTP/1 has at most one */
	bool keep_alive;	   /* after the current request */
	bool retiring;
	bool answered;	/* the current request has its status */
	bool head_only; /* the current request is HEAD */
	uint32_t requests;
	unsigned minor;	       /* of the current request's version */
	unsigned status;       /* of the last answer */
	uint64_t began_us;     /* first byte of the current request */
	struct record *record; /* of it, for the access log; NULL: none */
	uint64_t counted_in, counted_out;
	struct timeouts_spec timeouts; /* as of the last request */
	struct timer timer;
	struct deferred freeing;
};

void client_accept(const struct arrival *arrival);

static inline void client_enter(struct client *client, enum client_state state)
{
	client->state = state;
}

static inline void client_patience(struct client *client, uint32_t ms)
{
	timer_start(client->session.worker->loop, &client->timer, ms);
}

/* ---- For exchanges ------------------------------------------------------------------------ */

/* The client has closed and waits for nothing. */
bool client_gone(struct client *client);
void client_count_bytes(struct client *client);

/* The exchange has ended and is no more: answered, without a response, in the middle of one. <why>
 * is a constant word, "ok" of a tunnel that both sides have closed. */
void client_exchange_done(struct client *client);
void client_exchange_refused(struct client *client, unsigned status, const char *why);
void client_exchange_cut(struct client *client, const char *why);

#endif
