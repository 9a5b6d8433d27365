/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Reading a head from its first byte to its last, and what refusing it means.
 *
 * For: request.c and response.c. Owns: nothing. May know: base, token.h.
 *
 * Every step returns 0, -EAGAIN when the bytes end before it could decide, or -EBADMSG with the
 * refusal filled. A step looks at bytes strictly from left to right and judges a byte without
 * those behind it: that is why the answer does not depend on how the bytes were split.
 */
#ifndef HTTP_INPUT_H
#define HTTP_INPUT_H

#include "http/message.h"

#define HTTP_HEADER_IDS (HTTP_H_DATE + 1)

struct http_input {
	const char *start;
	const char *at;
	const char *end;
	bool response; /* every refusal is a 502 */
	struct http_refusal *refusal;
};

/* The headers by what they are; a count above 1 is a duplicate. */
struct http_fields {
	struct http_header *first[HTTP_HEADER_IDS];
	unsigned count[HTTP_HEADER_IDS];
};

void http_head_clear(struct http_head *head); /* all but the headers' memory */
int http_refuse(struct http_input *in, unsigned status, const char *reason, const char *at);
/* The bytes of <in> to parse now. */
struct http_input http_input_init(struct slice in, bool response, struct http_refusal *refusal);
/* The result of a parser: <err> of its last step to what the public functions return. */
ssize_t http_input_result(struct http_input *in, struct slice all, int err);

/* Where the next header of the same id is. */
const char *http_second(const struct http_head *head, const struct http_header *first);

int http_read_crlf(struct http_input *in, const char *reason);
/* "HTTP/1.x", 8 bytes. */
int http_read_version(struct http_input *in, unsigned *ret_minor);
int http_read_field(struct http_input *in, struct http_header *header); /* one field line */
/* Field lines up to and with the empty one. */
int http_read_headers(struct http_input *in, struct http_head *head);
/* Connection, Transfer-Encoding and Content-Length. Requests: the framing; responses: only what
 * the fields say. */
int http_read_meaning(struct http_input *in, struct http_head *head, struct http_fields *fields);

#endif
