/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One request and its response, whatever protocol carries them: balancing, retries, time-outs,
 * counts and the log of failures.
 *
 * For: client connections. Owns: its upstream while it has one, and the request until it is sent.
 * May know: balancers, upstreams, clients by their functions. Must never know: how a head is
 * written or a body framed.
 *
 *   state        event                                     next
 *   CHOOSING     backend picked, idle connection           REQUESTING
 *                backend picked, none idle                 CONNECTING
 *                all eligible are full                     QUEUED
 *                none eligible, or tries used up           ENDED (503, 502, 504)
 *   QUEUED       a backend has room, and is this one's     CHOOSING
 *                waited too long                           ENDED (503)
 *   CONNECTING   connected                                 REQUESTING
 *                refused, timed out: may be tried again    CHOOSING
 *                ... may not                               ENDED (502, 504)
 *   REQUESTING   final response head                       RESPONDING
 *                101 to a request that asked for it        TUNNEL
 *                closed before it, may be sent again       CHOOSING
 *                closed, malformed, timed out              ENDED (502, 504)
 *   RESPONDING   body's end was given to the client        ENDED
 *                body cut short, either side gone          ENDED (client connection cut)
 *   TUNNEL       both sides have closed, or idle too long  ENDED
 */
#ifndef PROXY_EXCHANGE_H
#define PROXY_EXCHANGE_H

#include "proxy/http1_upstream.h"
#include "proxy/request_id.h"
#include "proxy/retries.h"
#include "proxy/session.h"

#define EXCHANGE_MAX_INTERIM 32 /* 1xx before one response */

#define EXCHANGE_REQUEST_LEN 80

struct client;
struct waiter;

enum exchange_state {
	EXCHANGE_CHOOSING,   /* has no backend */
	EXCHANGE_QUEUED,     /* all eligible backends are full: it waits for one to have room */
	EXCHANGE_CONNECTING, /* has a backend, its connection is not there yet */
	EXCHANGE_REQUESTING, /* the request goes out; no final response has begun */
	EXCHANGE_RESPONDING, /* the response's head went to the client, bodies flow */
	EXCHANGE_TUNNEL,     /* upgraded: bytes of another protocol flow both ways */
	EXCHANGE_ENDED,	     /* nothing moves it any more */
};

/* What the timer is for. */
enum exchange_wait {
	WAIT_NOTHING,
	WAIT_QUEUE,	    /* room at a backend */
	WAIT_CONNECT,	    /* the backend's SYN-ACK */
	WAIT_CLIENT_BODY,   /* more of the request's body */
	WAIT_RESPONSE_HEAD, /* the backend takes the request, and answers */
	WAIT_RESPONSE_BODY, /* more of the response's body */
	WAIT_CLIENT_READ,   /* the client takes the response */
	WAIT_TUNNEL,	    /* bytes of either side */
};

struct exchange {
	enum exchange_state state;
	enum exchange_wait wait;
	uint64_t taken; /* by the peer that we wait for to take more, at the timer's last look */
	struct worker *worker;
	struct client *client;
	/* The request, filled by the client. */
	enum http_method method;
	uint32_t service_id;
	uint32_t pool; /* id */
	struct timeouts_spec timeouts;
	struct pick_key key;
	struct wire *request; /* its head and what there is of its body, while no upstream has it */
	struct body_writer writer; /* how the rest of the body is framed, likewise */
	struct wire *reply; /* what the route changes in the response's head (reply_edit.h) */
	uint64_t sticky;    /* the token of the backend that the client's cookie names; 0: none */
	struct addr client_addr; /* whose request it is, also behind trusted proxies */
	/* The backend. */
	struct upstream *upstream;
	struct lb_live *live; /* non-NULL: counted as open, and inside the backend's gate */
	char backend[POOL_NAME_LEN];
	uint64_t token; /* of the backend, for cookies */
	uint16_t backend_id;
	uint16_t admitted; /* the backend that a queue has let it in to; 0: none */
	struct retries retries;
	bool waited;	/* a queue has let it in once */
	bool alone;	/* the upstream's first bytes name this client: no other may use it */
	bool fresh;	/* no idle connection any more: one has failed */
	bool timed_out; /* the last failure was a time-out: 504 */
	bool deaf;	/* the backend takes no more of the request */
	bool looked;	/* taken was filled in */
	bool upgrade;	/* the request asks for one */
	bool expects;	/* it expects 100 (Continue), and none has come */
	uint32_t n_interim;
	struct waiter *waiter; /* while it is queued */
	const char *why;       /* the last failure, a constant word */
	uint64_t asked_us;
	uint64_t counted_in, counted_out; /* of this upstream, already in the live row */
	uint64_t said;			  /* what the client had said before the request's body */
	struct timer timer;
	struct exchange *next_free;
	uint8_t request_id_len;
	/* Not zeroed from here on. */
	char request_id[REQUEST_ID_MAX];
	char request_line[EXCHANGE_REQUEST_LEN]; /* "GET /path", cut short, for session lists */
};

/* Zeroed, from the worker's stock; NULL: no memory. */
struct exchange *exchange_new(struct worker *worker, struct client *client);
void exchanges_fini(struct worker *worker); /* the stock */
/* The request is filled in. The client may be told of the end before this returns. */
void exchange_start(struct exchange *exchange);
/* A queue has let <exchange> in to that backend: admission_fn. */
void exchange_admitted(void *exchange, uint16_t backend);
void exchange_describe(const struct exchange *exchange, struct session_info *ret_info);
/* A socket of either side is ready. */
void exchange_run(struct exchange *exchange);
/* Its backend is down, and nothing is expected from it any more: another one, or the end. */
void exchange_backend_down(struct exchange *exchange);
/* The client has gone, or must go: ends the exchange without telling the client. */
void exchange_abort(struct exchange *exchange);

#endif
