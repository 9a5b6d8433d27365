/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What would become of a request, by the functions that a worker would ask.
 *
 * For: the API. Owns: an answer's text. May know: http, routes, snapshots, admission.
 * Nothing is counted and nobody's turn moves on, so the next request is answered as if this one
 * had never been asked about. On the control thread, which frees snapshots.
 */
#ifndef PROXY_TRACE_H
#define PROXY_TRACE_H

#include "http/message.h"
#include "proxy/admission.h"
#include "proxy/buffer_pool.h"
#include "proxy/forwarded.h"

struct proxy;

enum http_trace_end {
	HTTP_TRACE_REFUSED,    /* with the status and for the reason of the answer */
	HTTP_TRACE_REDIRECTED, /* by the route, to <location> */
	HTTP_TRACE_ANSWERED,   /* by lbd itself: OPTIONS with Max-Forwards: 0 */
	HTTP_TRACE_QUEUED,     /* all eligible backends are full */
	HTTP_TRACE_FORWARDED,  /* to <member>, with <head> */
};

/* What becomes of the client's wish to go where it was. */
enum http_trace_sticky {
	HTTP_TRACE_NOT_STICKY, /* the service has no sticky cookie */
	HTTP_TRACE_NO_COOKIE,  /* the request has none, or not one of lbd's */
	HTTP_TRACE_ASTRAY,     /* no backend of the pool that it may go to is named by it */
	HTTP_TRACE_KNOWN,      /* <wanted> is */
};

struct http_trace_question {
	uint32_t service;  /* id */
	struct addr from;  /* who connects, anew */
	struct slice head; /* as the client would send it */
};

struct http_trace {
	enum http_trace_end end;
	unsigned status;    /* that lbd answers; 0: none */
	const char *reason; /* why it is refused, a word */
	const char *waits;  /* why the connection is not accepted yet, a word; NULL: it is */
	size_t offset;	    /* the offending byte of a head that is none */
	const struct route_spec *route; /* NULL: none */
	uint32_t route_index;
	const struct snapshot_pool *pool; /* NULL: it did not come so far */
	const struct view_member *member; /* NULL: none */
	const struct view_member *wanted; /* by the cookie; NULL: none */
	enum http_trace_sticky sticky;	  /* once there is a pool */
	uint32_t n_waiting;		  /* for a backend of the pool, before this one */
	struct forwarded forwarded;	  /* once there is a route */
	struct http_head parsed;
	struct wire head; /* as the backend would get it */
	char location[2048];
};

/* The requests and relays at a backend, as its max-connections counts them. */
uint32_t http_trace_inside(const struct proxy *proxy, uint16_t backend);
/* Fills <ret_trace>, which points into the current snapshot: for as long as the control thread does
 * not return to its loop. -ENOENT: no listener has such a service. */
int http_trace(struct proxy *proxy, const struct http_trace_question *question,
	       struct http_trace *ret_trace);

#endif
