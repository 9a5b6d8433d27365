/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How a client's connection ends.
 *
 * For: http1_client.c. Owns: the states CLIENT_CLOSING, CLIENT_LINGER and CLIENT_CLOSED.
 * May know: channels, clients. Must never know: what was answered.
 */
#ifndef PROXY_CLIENT_CLOSE_H
#define PROXY_CLIENT_CLOSE_H

#include "proxy/http1_client.h"

void client_close(struct client *client); /* now; freed at the end of the turn. Twice is fine */
/* In the middle of an answer or a tunnel. An end that looks like a proper one must not be seen: of
 * a body until close only RST tells. */
void client_close_cut(struct client *client);
/* The last answer is in the wire: when the client has it, and may have seen our end of it. */
void client_close_softly(struct client *client);
/* The socket of one that closes softly is ready. */
void client_go_on_closing(struct client *client);

#endif
