/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * First bytes that are about a connection and not of it: a header of the PROXY protocol.
 *
 * For: listeners of services that accept it, connections to backends that get it.
 * Owns: a client's connection until its header was read; then the connection goes on as if it had
 * just come, from the client the header names.
 * May know: net, snapshots, the header's parser. Must never know: HTTP, relays.
 * The bytes are looked at where they are, in the socket, so a connection that waits has no buffer.
 */
#ifndef PROXY_GREETING_H
#define PROXY_GREETING_H

#include "proxy/buffer_pool.h"
#include "proxy/session.h"
#include "proxy/transport.h"

/* Calls arrival_serve() when the header is there; a wrong or late one resets the connection. */
void greeting_accept(const struct arrival *arrival, uint32_t timeout_ms);
/* Appends what tells a backend whom a connection is for; <client> is the session's. 0 or
 * -EMSGSIZE. */
int greeting_put(enum proxy_protocol version, const struct session *session,
		 const struct transport *client, struct wire *out);

#endif
