/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * llhttp, the parser of Node.js, as a second opinion: a message that both take must mean the same.
 *
 * For: check_head.c. Owns: scratch memory: one thread only. May know: http, llhttp.
 */
#ifndef FUZZ_ORACLE_H
#define FUZZ_ORACLE_H

#include "check.h"
#include "http/message.h"

struct oracle_message {
	struct slice text;
	bool response;
	enum http_method method;      /* of the request that a response is for */
	const struct http_head *head; /* as we read it; points into <text> */
	size_t head_len;
};

/* True also when llhttp refuses the message. */
bool oracle_agrees(const struct oracle_message *message, struct check *check);

#endif
