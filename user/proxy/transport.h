/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The bytes of one connection: the only code that touches a client's or backend's descriptor.
 *
 * For: channels. Owns: the descriptor. May know: base, net. Must never know: HTTP.
 * This is the place where TLS goes between the socket and everybody else.
 */
#ifndef PROXY_TRANSPORT_H
#define PROXY_TRANSPORT_H

#include <stdbool.h>
#include <sys/types.h>

#include "net/loop.h"

struct transport {
	struct source source;
	struct loop *loop;
};

/* Takes <fd> over, also when it fails. */
int transport_open(struct transport *transport, struct loop *loop, int fd,
		   void (*on_ready)(struct source *));
void transport_close(struct transport *transport); /* twice is fine */
void transport_drop(int fd);			   /* of a connection that nobody will serve */
/* The descriptor, registered nowhere: the caller's. */
int transport_give_away(struct transport *transport);
void transport_reset(struct transport *transport); /* the peer sees RST */

/* Bytes, 0 at the end of the stream, -EAGAIN, or another -errno. */
ssize_t transport_read(struct transport *transport, void *data, size_t size);
/* The same, and the bytes stay for the next read. */
ssize_t transport_peek(struct transport *transport, void *data, size_t size);
ssize_t transport_write(struct transport *transport, const void *data, size_t size);
/* From the socket into a pipe that is empty, and out of a pipe: as read and write. */
ssize_t transport_splice_in(struct transport *transport, int pipe_fd, size_t size);
ssize_t transport_splice_out(struct transport *transport, int pipe_fd, size_t size);
void transport_shutdown(struct transport *transport); /* no more bytes will be written */

/* A read may give something now: bytes, the end or an error. */
static inline bool transport_pending(const struct transport *transport)
{
	return transport->source.ready & LOOP_READ;
}

static inline bool transport_writable(const struct transport *transport)
{
	return transport->source.ready & LOOP_WRITE;
}

/* The peer has closed its half. */
static inline bool transport_hung_up(const struct transport *transport)
{
	return transport->source.ready & LOOP_HANGUP;
}

/* The peer has not only closed its half but reset the connection. Tells it once. */
bool transport_broken(const struct transport *transport);
/* Written bytes that the peer has not acknowledged: what a slow one has yet to take. */
uint32_t transport_unacked(const struct transport *transport);
/* Asks the kernel whether an idle connection still is one: nothing to read, not closed. */
bool transport_quiet(const struct transport *transport);

#endif
