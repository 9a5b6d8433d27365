/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Answers, into a client's wire: heads of backends, and whole ones of ours.
 *
 * For: http1_client.c, client_request.c, exchanges. Owns: nothing. May know: forward, clients.
 * What a head says of the connection is what becomes of it: client->keep_alive is settled here.
 */
#ifndef PROXY_CLIENT_ANSWER_H
#define PROXY_CLIENT_ANSWER_H

#include "proxy/http1_client.h"

/* Heads, into the client's wire; -EMSGSIZE when one does not fit. */
int client_put_response(struct client *client, struct http_head *head, enum http_method method,
			bool whole, enum http_framing *ret_framing);
int client_put_interim(struct client *client, struct http_head *head);
int client_put_upgrade(struct client *client, struct http_head *head);
/* Before an answer that no backend has given: does the connection end after it? From then on
 * that is settled. The reader has begun with the request's body. */
bool client_ends_after_answer(struct client *client);
/* A whole answer of an error. -ENOBUFS: there is no room for it. */
int client_put_error(struct client *client, unsigned status);
/* The current request is answered with that; 0: not at all. */
void client_count_status(struct client *client, unsigned status);

#endif
