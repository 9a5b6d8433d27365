/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The values of ${...} for one request.
 *
 * For: headers and redirects. Owns: scratch for what has to be written out. May know: http, routes.
 * Lives as long as the head it looks at. No value can hold a line end: the parser has seen to it.
 */
#ifndef PROXY_VARIABLES_H
#define PROXY_VARIABLES_H

#include "base/addr.h"
#include "http/message.h"
#include "proxy/spec.h"

struct variables {
	const struct http_head *head; /* of the request */
	struct addr client;
	const char *proto;
	const char *service;
	const char *pool; /* "" for none */
	struct slice request_id, traceparent;
	char ip[ADDR_TEXT_LEN];
	char port[8];
};

/* A format_lookup_fn; <ctx> is struct variables. */
struct slice variables_value(void *ctx, int field);

#endif
