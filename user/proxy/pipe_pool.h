/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Pipes through which the kernel moves bytes from one socket to another without copying them.
 *
 * For: channels of one worker. Owns: its free pipes; those taken belong to the taker.
 * May know: nobody. One pool per worker, no locks.
 * A pipe is taken for the bytes in it and given back when they have left, so that there are as
 * many as directions whose receiver is slower than their sender, and no more than PIPE_POOL_MAX.
 */
#ifndef PROXY_PIPE_POOL_H
#define PROXY_PIPE_POOL_H

#include <stdbool.h>
#include <stdint.h>

#define PIPE_POOL_MAX  128 /* taken at once; who gets none copies */
#define PIPE_POOL_KEEP 16  /* free ones that stay open */
#define PIPE_SIZE      (256 * 1024)

struct pipe {
	struct pipe *next_free;
	int fds[2];   /* read end, write end */
	uint32_t len; /* bytes in it */
};

struct pipe_pool {
	struct pipe *free;
	uint32_t n_free;
	uint32_t n_taken;
	bool failed; /* none can be had, or these sockets cannot use one: not tried again */
};

struct pipe *pipe_take(struct pipe_pool *pool);		   /* empty; NULL: none to have */
void pipe_give(struct pipe_pool *pool, struct pipe *pipe); /* with bytes in it too; NULL is fine */
void pipe_pool_fini(struct pipe_pool *pool);

#endif
