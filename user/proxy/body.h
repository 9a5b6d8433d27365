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
	bool done;	    /* the whole body was read */
	bool drop_trailers; /* none may be passed on */
	uint64_t left;
	struct http_chunked chunked;
};

struct body_writer {
	enum http_framing framing;
	bool trailers; /* the last chunk was written, the end of the trailer section was not */
	bool done;     /* the end was written */
};

/* What one step found of a body: data, or a trailer (with a name), or neither. */
struct body_part {
	struct slice data;
	struct http_header trailer;
};

void body_reader_init(struct body_reader *reader, enum http_framing framing, uint64_t length);
/* For the body that <head> announces. */
void body_reader_begin(struct body_reader *reader, const struct http_head *head);
/*
 * Consumes at most <max> bytes of <in>, gives what was among them. 0: more input is needed, or
 * done. -EBADMSG: not a chunked body. Of a trailer section whole lines are consumed, so that no
 * state has to hold half of one.
 */
ssize_t body_read(struct body_reader *reader, struct slice in, size_t max,
		  struct body_part *ret_part, struct http_refusal *ret_refusal);
/* The peer has closed: the proper end of this body? Then it is done. */
bool body_read_end(struct body_reader *reader);

void body_writer_init(struct body_writer *writer, enum http_framing framing);
/* How many bytes of a body may be read now so that what they become fits into what is left of
 * <out> (NULL: an empty one); the end always fits. */
size_t body_room(const struct body_writer *writer, const struct wire *out);
/* Nothing of <in> was consumed: for want of room, not of input? */
bool body_cramped(const struct body_reader *reader, const struct wire *in, size_t room);
void body_write(struct body_writer *writer, struct wire *out, const struct body_part *part);
void body_write_end(struct body_writer *writer, struct wire *out); /* <out> NULL: not chunked */

#endif
