/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One HTTP/1.1 connection to a backend: the backend side of an exchange.
 *
 * For: exchanges. Owns: its channel. May know: net, http, worker. Must never know: clients, routes.
 * It serves one exchange at a time; without one it is in the worker's upstream pool.
 */
#ifndef PROXY_HTTP1_UPSTREAM_H
#define PROXY_HTTP1_UPSTREAM_H

#include "proxy/channel.h"
#include "proxy/worker.h"

struct exchange;

struct upstream {
	struct channel channel;
	struct worker *worker;
	struct exchange *exchange; /* NULL while idle */
	uint16_t backend;
	struct addr addr;
	bool reused;	 /* served an exchange before this one */
	bool keep_alive; /* the response says that the connection may stay open */
	uint64_t sent_before, received_before; /* of earlier exchanges */
	uint64_t idle_since_ms;
	struct list node; /* in the pool's bucket */
	struct list age;  /* in the pool's order of age */
	struct deferred freeing;
};

/* Starts to connect. */
int upstream_connect(struct worker *worker, uint16_t backend, const struct addr *addr,
		     struct upstream **ret_upstream);
int upstream_connected(struct upstream *upstream); /* 0, -EINPROGRESS, or why not */
void upstream_close(struct upstream *upstream);	   /* frees at the end of the turn; NULL is fine */
/* Gives it to <exchange>, with the wire that holds the request so far (taken over). */
void upstream_attach(struct upstream *upstream, struct exchange *exchange, struct wire *request,
		     const struct body_writer *writer);
/* All of the request is still there. */
static inline bool upstream_has_request(const struct upstream *upstream)
{
	return upstream->channel.hold && upstream->channel.out;
}
/* Takes the request back, whole, to send it somewhere else; NULL when some of it is gone. */
struct wire *upstream_take_request(struct upstream *upstream);
/* After an exchange: into the pool if the connection is in order, else closed. */
void upstream_release(struct upstream *upstream);
bool upstream_usable(const struct upstream *upstream, bool sure);

/*
 * The next response head: its length, with <head> pointing into the upstream's wire until
 * upstream_head_used(). 0: not there yet. -EPIPE: closed before it, -EBADMSG: malformed, with
 * <ret_why>, or what the socket says.
 */
ssize_t upstream_read_head(struct upstream *upstream, enum http_method method,
			   struct http_head *head, const char **ret_why);
void upstream_head_used(struct upstream *upstream, size_t len);

static inline uint64_t upstream_sent(const struct upstream *upstream)
{
	return upstream->channel.sent - upstream->sent_before;
}

static inline uint64_t upstream_received(const struct upstream *upstream)
{
	return upstream->channel.received - upstream->received_before;
}

#endif
