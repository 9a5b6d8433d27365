/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Idle keep-alive connections to backends, of one worker.
 *
 * For: exchanges that look for a connection. Owns: the idle upstreams in it.
 * May know: base, net, http1_upstream. Must never know: requests.
 * The newest is given first; the oldest are closed when there are too many or they are too old.
 * A connection on which anything happens while it is idle is closed at once.
 */
#ifndef PROXY_UPSTREAM_POOL_H
#define PROXY_UPSTREAM_POOL_H

#include "base/addr.h"
#include "net/loop.h"

#define UPSTREAM_POOL_BUCKETS 256
#define UPSTREAM_POOL_MAX     1024  /* idle connections of one worker */
#define UPSTREAM_POOL_IDLE_MS 15000 /* shorter than the keep-alive time of most servers */

struct upstream;

struct upstream_pool {
	struct loop *loop;
	struct list buckets[UPSTREAM_POOL_BUCKETS]; /* by backend id, newest first */
	struct list by_age;			    /* oldest first */
	uint32_t count;
	struct timer sweep;
};

void upstream_pool_init(struct upstream_pool *pool, struct loop *loop);
void upstream_pool_fini(struct upstream_pool *pool);
/* NULL: none. <sure> asks the kernel, for requests that may not be sent twice. */
struct upstream *upstream_pool_take(struct upstream_pool *pool, uint16_t backend,
				    const struct addr *addr, bool sure);
void upstream_pool_put(struct upstream_pool *pool, struct upstream *upstream);
/* Closes those to backends that are not eligible any more. */
struct worker;
void upstream_pool_close_barred(struct worker *worker);
void upstream_pool_remove(struct upstream_pool *pool, struct upstream *upstream);

#endif
