/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "daemon/slow_start.h"

#include "daemon/entry.h"

static uint32_t next_in_ms(struct load_balancer *lb)
{
	uint32_t least = 0;

	list_for_each (node, &lb->pools) {
		uint32_t ms = pool_climb_in_ms(entry_of(node)->pool);

		if (ms > 0 && (least == 0 || ms < least))
			least = ms;
	}
	return least;
}

static void climb_in(struct load_balancer *lb, uint32_t ms)
{
	if (ms > 0)
		timer_start(lb->loop, &lb->climb, ms);
}

void slow_start_watch(struct load_balancer *lb, struct pool *changed)
{
	if (!timer_running(&lb->climb))
		climb_in(lb, pool_climb_in_ms(changed));
}

static void on_climb(struct timer *timer)
{
	struct load_balancer *lb = container_of(timer, struct load_balancer, climb);

	list_for_each (node, &lb->pools) {
		struct pool *pool = entry_of(node)->pool;

		if (pool_climb_in_ms(pool) > 0)
			pool_climb(pool);
	}
	climb_in(lb, next_in_ms(lb));
}

void slow_start_init(struct load_balancer *lb)
{
	timer_init(&lb->climb, on_climb);
}

void slow_start_begin(struct load_balancer *lb)
{
	list_for_each (node, &lb->pools)
		pool_start_slowly(entry_of(node)->pool);
}

void slow_start_fini(struct load_balancer *lb)
{
	timer_stop(lb->loop, &lb->climb);
}
