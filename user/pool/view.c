/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "pool/view.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

int view_new(uint32_t count, uint32_t pool_size, struct view **ret_view)
{
	struct view *view = calloc(1, sizeof(*view) + count * sizeof(view->members[0]));

	if (!view)
		return -ENOMEM;
	atomic_init(&view->refs, 1);
	view->count = count;
	view->pool_size = pool_size;
	*ret_view = view;
	return 0;
}

uint64_t backend_token(const char *pool, const char *backend)
{
	uint64_t hash = XXH64(backend, strlen(backend), XXH64(pool, strlen(pool), 0));

	return hash ? hash : 1;
}

struct view *view_get(struct view *view)
{
	atomic_fetch_add_explicit(&view->refs, 1, memory_order_relaxed);
	return view;
}

void view_put(struct view *view)
{
	unsigned before;

	if (!view)
		return;
	/* The last reader's loads must come before the free. */
	before = atomic_fetch_sub_explicit(&view->refs, 1, memory_order_acq_rel);
	assert(before > 0);
	if (before == 1)
		free(view);
}

const struct view_member *view_find(const struct view *view, uint16_t id)
{
	for (uint32_t i = 0; i < view->count; i++) {
		if (view->members[i].id == id)
			return &view->members[i];
	}
	return NULL;
}

/* The subtrahend is read first: both only grow, so the difference cannot be below 0 for a reader
 * that sees the writes in order; one that does not gets 0. */
static uint64_t difference(const __u64 *more, const __u64 *less)
{
	uint64_t subtrahend = __atomic_load_n(less, __ATOMIC_ACQUIRE);
	uint64_t minuend = __atomic_load_n(more, __ATOMIC_RELAXED);

	return minuend > subtrahend ? minuend - subtrahend : 0;
}

uint64_t live_open(const struct lb_live *live)
{
	return difference(&live->opened, &live->closed) +
	       difference(&live->proxy_opened, &live->proxy_closed);
}

uint64_t live_pending(const struct lb_live *live)
{
	return difference(&live->pending_in, &live->pending_out);
}
