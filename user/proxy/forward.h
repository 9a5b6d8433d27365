/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The heads that go on: a client's request for a backend, a backend's response for a client.
 *
 * For: clients (both heads pass through them). Owns: nothing. May know: http, wires.
 * Hop-by-hop headers end here (RFC 9110 section 7.6.1); framing is said anew.
 */
#ifndef PROXY_FORWARD_H
#define PROXY_FORWARD_H

#include "proxy/buffer_pool.h"
#include "proxy/forwarded.h"
#include "proxy/header_edit.h"
#include "proxy/reply_edit.h"
#include "proxy/request_id.h"
#include "proxy/variables.h"

struct forward_request {
	const struct forwarded *forwarded;
	const struct request_id *names;
	const struct header_edits *edits;
	struct variables *variables;
	struct addr local; /* what the client connected to: the Host of an HTTP/1.0 request */
	bool upgrade;	   /* ask for the upgrade the client asks for */
	struct slice cookie_name; /* a cookie of ours, not to be passed on; empty: none */
};

struct forward_response {
	unsigned client_minor;
	enum http_framing framing; /* to the client */
	enum http_method method;
	bool keep_alive;    /* of the client's connection */
	bool upgrade;	    /* a 101 */
	struct slice date;  /* for a response that has none; empty: it has one */
	struct slice notes; /* what the route changes, see reply_edit.h */
	const struct reply_backend *backend;
};

/* Appends to <out>; -EMSGSIZE when the head does not fit. <head> is used up: headers that are
 * written anew are marked in it. */
int forward_request_put(const struct forward_request *forward, struct http_head *head,
			struct wire *out);
int forward_response_put(const struct forward_response *forward, struct http_head *head,
			 struct wire *out);
/* How a response's body goes to a client of HTTP/1.<minor>. */
enum http_framing forward_framing(const struct http_head *head, unsigned client_minor);

#endif
