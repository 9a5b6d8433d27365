/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * From a request's head to an exchange: service, route, the head as a backend will see it.
 *
 * For: HTTP/1 clients, traces. Owns: nothing. May know: snapshots, routes, forward.
 */
#ifndef PROXY_CLIENT_REQUEST_H
#define PROXY_CLIENT_REQUEST_H

#include "proxy/exchange.h"
#include "proxy/http1_client.h"

struct client_refusal {
	unsigned status;
	const char *why; /* a constant word; NULL: the answer is in the client's wire, no refusal */
};

/* Does the backend get to see that the client wants another protocol? */
bool client_upgrade_wanted(const struct http_head *head);

/* An exchange that is ready to start; NULL with <ret_refusal>: there is none to start. <head> is
 * used up. */
struct exchange *client_request_new(struct client *client, struct http_head *head,
				    struct client_refusal *ret_refusal);

#endif
