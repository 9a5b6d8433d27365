/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The PROXY protocol, versions 1 and 2: who a connection is for, told by the proxy in front.
 *
 * For: sessions that accept it, connections to backends that get it. Owns: nothing. Pure.
 * May know: base. Must never know: sockets.
 * By https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt; where that leaves a choice:
 *
 *   LOCAL, UNKNOWN, unspecified families      the connection's own addresses hold
 *   Unix sockets                              the same: the sender's client has no IP address
 *   datagrams                                 refused: this is a stream
 *   TLVs                                      must fill the header exactly; skipped
 *   CRC32C                                    must be right where it is given
 */
#ifndef PROXY_PROXY_PROTOCOL_H
#define PROXY_PROXY_PROTOCOL_H

#include <sys/types.h>

#include "base/addr.h"
#include "base/slice.h"

#define PROXY_PROTOCOL_MAX_V1 107  /* with CRLF (section 2.1) */
#define PROXY_PROTOCOL_MAX    4096 /* of version 2: addresses, and TLVs with a certificate's name */
#define PROXY_PROTOCOL_ROOM   128  /* what the writer needs */

/* What a header says. */
struct proxied {
	bool known; /* false: the connection's own addresses hold */
	struct addr from;
	struct addr to;
};

struct proxied_refusal {
	const char *reason; /* a constant word */
	size_t at;	    /* offset of the first wrong byte */
};

/*
 * The header at the start of <in>: its length, with <ret_proxied>; 0: more bytes are needed;
 * -EBADMSG with <ret_refusal>. However the bytes arrive, the answer is the same.
 */
ssize_t proxy_protocol_parse(struct slice in, struct proxied *ret_proxied,
			     struct proxied_refusal *ret_refusal);

/* A header of version 1 or 2 for a connection of <from> to <to>. Its length. */
size_t proxy_protocol_write(unsigned version, const struct addr *from, const struct addr *to,
			    char out[static PROXY_PROTOCOL_ROOM]);

#endif
