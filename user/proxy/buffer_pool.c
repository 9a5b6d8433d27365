/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "proxy/buffer_pool.h"

#include <stdlib.h>

struct wire *buffer_take(struct buffer_pool *pool)
{
	struct wire *wire = pool->free;

	if (wire) {
		pool->free = wire->next_free;
		pool->n_free--;
	} else {
		wire = malloc(sizeof(*wire));
	}
	if (!wire)
		return NULL;
	wire->next_free = NULL;
	wire->pos = 0;
	wire->len = 0;
	pool->n_taken++;
	return wire;
}

void buffer_give(struct buffer_pool *pool, struct wire *wire)
{
	if (!wire)
		return;
	pool->n_taken--;
	if (pool->n_free == BUFFER_POOL_KEEP) {
		free(wire);
		return;
	}
	wire->next_free = pool->free;
	pool->free = wire;
	pool->n_free++;
}

void buffer_pool_fini(struct buffer_pool *pool)
{
	while (pool->free) {
		struct wire *wire = pool->free;

		pool->free = wire->next_free;
		free(wire);
	}
	pool->n_free = 0;
	pipe_pool_fini(&pool->pipes);
}
