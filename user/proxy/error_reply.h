/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The answers lbd gives by itself: refusals, no backend, time-outs.
 *
 * For: clients. Owns: nothing. May know: http, wires.
 */
#ifndef PROXY_ERROR_REPLY_H
#define PROXY_ERROR_REPLY_H

#include "proxy/buffer_pool.h"

#define ERROR_REPLY_MAX	  512 /* bytes of a whole reply */
#define ERROR_RETRY_AFTER 1   /* seconds, with 503 (RFC 9110 section 10.2.3) */

struct error_reply {
	unsigned status;
	bool head_only; /* the request was HEAD */
	bool close;	/* the connection ends after it */
	struct slice date;
};

/* Appends it to <out>, which has room for ERROR_REPLY_MAX. */
void error_reply_write(const struct error_reply *reply, struct wire *out);

/* The same for OPTIONS that may go no further: 200 and the methods there are. */
void options_reply_write(bool close, struct slice date, struct wire *out);

#endif
