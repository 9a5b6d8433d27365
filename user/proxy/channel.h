/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One connection with what is on its way in and out of it: a transport, two wires, two bodies.
 *
 * For: HTTP/1 clients and upstreams, relays, tunnels. Owns: the transport and at most two wires.
 * May know: base, net, http, wires. Must never know: requests, backends, who is at the other end.
 * channel_pump() moves one body from a channel to another one; what the sink does not take stays
 * unread in the source, so memory is bounded by one wire per direction and side.
 */
#ifndef PROXY_CHANNEL_H
#define PROXY_CHANNEL_H

#include "proxy/body.h"
#include "proxy/transport.h"

/* Bytes that one wake-up may move before the other connections have their turn. */
#define CHANNEL_BUDGET (16 * WIRE_SIZE)

struct channel {
	struct transport transport;
	struct buffer_pool *buffers;
	struct wire *in;   /* NULL while empty */
	struct wire *out;  /* NULL while empty */
	struct pipe *pipe; /* what goes out through one; NULL while empty. Never beside <out> */
	struct body_reader reader;
	struct body_writer writer;
	bool hold;	    /* keep what was sent of <out>: it may have to be sent again */
	bool eof;	    /* the peer has closed, and all it said was read */
	bool shut;	    /* we have closed our half */
	uint8_t full_reads; /* in a row: a sender in bulk */
	uint64_t received;
	uint64_t sent;
};

/* <channel> is zeroed. Takes <fd> over, also when it fails. */
int channel_open(struct channel *channel, struct loop *loop, struct buffer_pool *buffers, int fd,
		 void (*on_ready)(struct source *));
void channel_close(struct channel *channel); /* twice is fine */

/* Appends one read to <in>. Bytes, 0 at the end (eof is set), -EAGAIN, -ENOBUFS when <in> is full,
 * -ENOMEM, or what the socket says. */
ssize_t channel_read(struct channel *channel);
void channel_consume(struct channel *channel, size_t len);
/* Writes <out>. Bytes written (0: nothing to write, or the peer takes none), or -errno. */
ssize_t channel_flush(struct channel *channel);
/* The wire to append to, taken if need be; NULL: no memory. */
struct wire *channel_out(struct channel *channel);
/* All that was to go out was sent. */
static inline bool channel_flushed(const struct channel *channel)
{
	return wire_left(channel->out) == 0 && !channel->pipe;
}

enum pump_result {
	PUMP_BLOCKED,	/* waits for a socket */
	PUMP_DONE,	/* the body's end was handed to the kernel */
	PUMP_AGAIN,	/* the budget is spent: run again in the next turn */
	PUMP_TRUNCATED, /* the source ended before its body did */
	PUMP_MALFORMED, /* the source's body is no chunked body */
	PUMP_FROM_ERROR,
	PUMP_TO_ERROR,
};

struct pump {
	struct channel *from;
	struct channel *to;
	uint64_t moved;		     /* bytes read and written by this call: progress */
	struct http_refusal refusal; /* PUMP_MALFORMED */
};

enum pump_result channel_pump(struct pump *pump);

#endif
