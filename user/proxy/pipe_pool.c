/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "proxy/pipe_pool.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static void close_pipe(struct pipe *pipe)
{
	close(pipe->fds[0]);
	close(pipe->fds[1]);
	free(pipe);
}

/* Where the user's pages for pipes are used up (pipe(7)), a pipe stays as small as it is. */
static struct pipe *open_pipe(void)
{
	struct pipe *pipe = calloc(1, sizeof(*pipe));

	if (!pipe)
		return NULL;
	if (pipe2(pipe->fds, O_NONBLOCK | O_CLOEXEC) < 0) {
		free(pipe);
		return NULL;
	}
	(void)fcntl(pipe->fds[1], F_SETPIPE_SZ, PIPE_SIZE);
	return pipe;
}

struct pipe *pipe_take(struct pipe_pool *pool)
{
	struct pipe *pipe = pool->free;

	if (pool->failed || pool->n_taken >= PIPE_POOL_MAX)
		return NULL;
	if (pipe) {
		pool->free = pipe->next_free;
		pool->n_free--;
	} else {
		pipe = open_pipe();
	}
	if (pipe)
		pool->n_taken++;
	return pipe;
}

void pipe_give(struct pipe_pool *pool, struct pipe *pipe)
{
	if (!pipe)
		return;
	pool->n_taken--;
	if (pipe->len > 0 || pool->n_free >= PIPE_POOL_KEEP) {
		close_pipe(pipe);
		return;
	}
	pipe->next_free = pool->free;
	pool->free = pipe;
	pool->n_free++;
}

void pipe_pool_fini(struct pipe_pool *pool)
{
	while (pool->free) {
		struct pipe *pipe = pool->free;

		pool->free = pipe->next_free;
		close_pipe(pipe);
	}
	pool->n_free = 0;
}
