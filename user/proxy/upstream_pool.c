/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "proxy/upstream_pool.h"

#include "proxy/admission.h"
#include "proxy/http1_upstream.h"

static struct upstream *of_age(struct list *node)
{
	return container_of(node, struct upstream, age);
}

static struct list *bucket(struct upstream_pool *pool, uint16_t backend)
{
	return &pool->buckets[backend % UPSTREAM_POOL_BUCKETS];
}

static void close_oldest(struct upstream_pool *pool)
{
	struct upstream *upstream = of_age(pool->by_age.next);

	upstream_pool_remove(pool, upstream);
	upstream_close(upstream);
}

static void on_sweep(struct timer *timer)
{
	struct upstream_pool *pool = container_of(timer, struct upstream_pool, sweep);
	uint64_t now = loop_now_ms(pool->loop);

	while (pool->count > 0 &&
	       of_age(pool->by_age.next)->idle_since_ms + UPSTREAM_POOL_IDLE_MS <= now)
		close_oldest(pool);
	if (pool->count > 0)
		timer_start(pool->loop, &pool->sweep, UPSTREAM_POOL_IDLE_MS / 8);
}

void upstream_pool_init(struct upstream_pool *pool, struct loop *loop)
{
	pool->loop = loop;
	for (int i = 0; i < UPSTREAM_POOL_BUCKETS; i++)
		list_init(&pool->buckets[i]);
	list_init(&pool->by_age);
	pool->count = 0;
	timer_init(&pool->sweep, on_sweep);
}

void upstream_pool_fini(struct upstream_pool *pool)
{
	if (!pool->loop)
		return;
	while (pool->count > 0)
		close_oldest(pool);
	timer_stop(pool->loop, &pool->sweep);
}

struct upstream *upstream_pool_take(struct upstream_pool *pool, uint16_t backend,
				    const struct addr *addr, bool sure)
{
	list_for_each_safe (node, bucket(pool, backend)) {
		struct upstream *upstream = container_of(node, struct upstream, node);

		/* An id may have passed to another backend. */
		if (upstream->backend != backend || !addr_equal(&upstream->addr, addr))
			continue;
		upstream_pool_remove(pool, upstream);
		if (upstream_usable(upstream, sure))
			return upstream;
		upstream_close(upstream);
	}
	return NULL;
}

void upstream_pool_put(struct upstream_pool *pool, struct upstream *upstream)
{
	if (pool->count >= UPSTREAM_POOL_MAX)
		close_oldest(pool);
	upstream->idle_since_ms = loop_now_ms(pool->loop);
	list_prepend(bucket(pool, upstream->backend), &upstream->node);
	list_append(&pool->by_age, &upstream->age);
	pool->count++;
	if (!timer_running(&pool->sweep))
		timer_start(pool->loop, &pool->sweep, UPSTREAM_POOL_IDLE_MS / 8);
}

void upstream_pool_close_barred(struct worker *worker)
{
	struct upstream_pool *pool = &worker->upstreams;

	list_for_each_safe (node, &pool->by_age) {
		struct upstream *upstream = of_age(node);

		if (!admission_barred(worker->shared->admission, upstream->backend))
			continue;
		upstream_pool_remove(pool, upstream);
		upstream_close(upstream);
	}
}

void upstream_pool_remove(struct upstream_pool *pool, struct upstream *upstream)
{
	if (list_empty(&upstream->age))
		return;
	list_remove(&upstream->node);
	list_remove(&upstream->age);
	pool->count--;
}
