/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One HTTP/1 body as it is read from and written to the wire: length, chunked or until close.
 *
 * For: channels. Owns: nothing but its own counters. May know: base, http, wires.
 * Must never know: sockets. A tunnel is a body until close.
 */
#ifndef PROXY_BODY_H
#define PROXY_BODY_H

#include "proxy/buffer_pool.h"

struct body_reader {
	enum http_framing framing;
	bool done; /* the whole body was read */
	uint64_t left;
	struct http_chunked chunked;
};

struct body_writer {
	enum http_framing framing;
	bool done; /* the end was written */
};

void body_reader_init(struct body_reader *reader, enum http_framing framing, uint64_t length);
/*
 * Consumes at most <max> bytes of <in>, gives the body bytes among them. 0: more input is needed,
 * or done. -EBADMSG: not a chunked body; <ret_why> is a constant word.
 */
ssize_t body_read(struct body_reader *reader, struct slice in, size_t max, struct slice *ret_data,
		  const char **ret_why);
/* The peer has closed: the proper end of this body? Then it is done. */
bool body_read_end(struct body_reader *reader);

void body_writer_init(struct body_writer *writer, enum http_framing framing);
/* How many body bytes fit into what is left of <out> (NULL: an empty one); the end always fits. */
size_t body_room(const struct body_writer *writer, const struct wire *out);
void body_write(struct body_writer *writer, struct wire *out, struct slice data);
void body_write_end(struct body_writer *writer, struct wire *out); /* <out> NULL: not chunked */

#endif
