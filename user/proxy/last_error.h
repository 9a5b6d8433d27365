/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The last message of each service that was refused because of its bytes, as it came.
 *
 * For: clients and upstreams (note), lbadm errors (list, by a visit of the worker). Owns: one of
 * each service and direction, made at the first refusal. May know: worker.
 */
#ifndef PROXY_LAST_ERROR_H
#define PROXY_LAST_ERROR_H

#include "base/addr.h"
#include "http/message.h"
#include "proxy/worker.h"

#define LAST_ERROR_EXCERPT 256
#define LAST_ERROR_NAME	   64

struct last_error {
	struct list node; /* worker->errors */
	uint32_t service_id;
	bool response;	/* of a backend, else a request of a client */
	uint64_t count; /* of such refusals by this worker */
	uint64_t wall_ms;
	struct addr peer;
	char backend[LAST_ERROR_NAME]; /* "" of a request */
	unsigned status;	       /* that the client was answered with */
	const char *reason;	       /* a constant word */
	uint64_t offset;	       /* of the byte that is wrong */
	uint64_t first;		       /* offset of the excerpt's first byte */
	uint32_t len;
	char excerpt[LAST_ERROR_EXCERPT];
};

struct noted_error {
	uint32_t service_id;
	struct addr peer;
	const char *backend; /* NULL: a request */
	struct slice bytes;  /* all there are of the message */
	struct http_refusal refusal;
};

void last_error_note(struct worker *worker, const struct noted_error *noted);
void last_errors_fini(struct worker *worker);

#endif
