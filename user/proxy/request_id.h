/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * By what names a request is known along its way: X-Request-ID and W3C Trace Context.
 *
 * For: clients. Owns: room for names it makes. May know: base, http.
 * A valid name that a request comes with is kept; a missing or invalid one is replaced. Where both
 * are made, the request's id is the trace's id.
 */
#ifndef PROXY_REQUEST_ID_H
#define PROXY_REQUEST_ID_H

#include "http/message.h"

#define REQUEST_ID_MAX	128 /* of one that is kept */
#define REQUEST_ID_MADE 32
#define TRACEPARENT_LEN 55

struct request_id {
	struct slice id;    /* in the head, or in made[] */
	struct slice trace; /* traceparent, likewise */
	bool made_id, made_trace;
	char made[TRACEPARENT_LEN];
	char made_alone[REQUEST_ID_MADE]; /* an id where the trace has come with the request */
};

/* Marks in <head> what is replaced. */
void request_id_take(struct request_id *names, struct http_head *head);
/* W3C Trace Context section 3.2. */
bool traceparent_valid(struct slice text);

#endif
