/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Linear 16 KB buffers for bytes on their way between two sockets.
 *
 * For: channels of one worker. Owns: its free buffers; those taken belong to the taker.
 * May know: base, http's limits. One pool per worker, no locks.
 * A buffer is taken when the first byte is there and given back when it is empty.
 */
#ifndef PROXY_BUFFER_POOL_H
#define PROXY_BUFFER_POOL_H

#include <stdint.h>

#include "http/message.h"
#include "proxy/pipe_pool.h"

#define WIRE_SIZE HTTP_MAX_HEAD	     /* what is read from a peer */
#define WIRE_ROOM (WIRE_SIZE + 1024) /* a forwarded head grows by our own headers */
#define WIRE_HEAD (WIRE_ROOM - 32)   /* for a head: the end of a body still fits behind it */

/* Free buffers kept; more go back to malloc. Where that watches over what is freed, all of them. */
#ifdef __SANITIZE_ADDRESS__
#define BUFFER_POOL_KEEP 0
#elif !defined(BUFFER_POOL_KEEP)
#define BUFFER_POOL_KEEP 1024
#endif

struct wire {
	struct wire *next_free;
	uint32_t pos; /* what is before was used */
	uint32_t len; /* what is filled */
	char data[WIRE_ROOM];
};

struct buffer_pool {
	struct wire *free;
	uint32_t n_free;
	uint32_t n_taken;
	struct pipe_pool pipes; /* for bulk, beside them */
};

struct wire *buffer_take(struct buffer_pool *pool);	       /* empty; NULL: no memory */
void buffer_give(struct buffer_pool *pool, struct wire *wire); /* NULL is fine */
void buffer_pool_fini(struct buffer_pool *pool);

static inline uint32_t wire_left(const struct wire *wire)
{
	return wire ? wire->len - wire->pos : 0;
}

static inline struct slice wire_slice(const struct wire *wire)
{
	return wire ? (struct slice){wire->data + wire->pos, wire->len - wire->pos}
		    : (struct slice){NULL, 0};
}

#endif
