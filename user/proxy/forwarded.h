/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Who the client is behind other proxies, and what a backend is told of the way here:
 * X-Forwarded-For, -Proto and -Host, and Forwarded (RFC 7239).
 *
 * For: clients, forward.c. Owns: nothing. May know: base, http, the spec. Pure.
 * Nobody is believed but the service's trusted proxies: what anyone else says of hops before is
 * dropped. From a trusted one it is kept and the peer is appended, and the client is the last
 * address in the list that is not a trusted proxy's. X-Forwarded-For is asked first, Forwarded only
 * where it is missing. What cannot be read ends the list: nothing before it is believed.
 */
#ifndef PROXY_FORWARDED_H
#define PROXY_FORWARDED_H

#include "http/message.h"
#include "proxy/spec.h"

struct forwarded {
	struct addr peer; /* who has connected */
	struct addr
		client; /* whose request it is; without a port where only the address is known */
	bool trusted;	/* the peer is */
};

void forwarded_find(const struct service_spec *service, const struct addr *peer,
		    const struct http_head *head, struct forwarded *ret_forwarded);
/*
 * Appends the headers but those whose bit in <taken> (of enum http_header_id) is set, and marks in
 * <head> those that are written anew.
 */
void forwarded_put(const struct forwarded *forwarded, const char *proto, uint32_t taken,
		   struct http_head *head, struct http_writer *w);

#endif
