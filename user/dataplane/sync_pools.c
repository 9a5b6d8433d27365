/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "dataplane/sync_parts.h"

static const struct lb_pool *row(const struct sync *sync, uint32_t id)
{
	return &sync->view.pools[id];
}

static void body_of(const struct wanted_pool *wanted, struct lb_pool *ret_body)
{
	struct lb_pool body = {
		.choice = (uint32_t)wanted->choice,
		.client_only = wanted->client_only,
		.used = 1,
		.hash_seed = sync_pool_seed(wanted->name),
	};

	memcpy(body.name, wanted->name, sizeof(body.name) - 1);
	*ret_body = body;
}

static bool same_body(const struct lb_pool *current, const struct lb_pool *body)
{
	return current->choice == body->choice && current->client_only == body->client_only &&
	       current->used == body->used && current->hash_seed == body->hash_seed &&
	       memcmp(current->name, body->name, sizeof(body->name)) == 0;
}

/*
 * Every table word counts, also of pools not in use: a crash may have left one between the table
 * and the body. A table that overlaps another is given no region, so the next write moves it.
 */
int sync_pools_load(struct sync *sync)
{
	arena_fini(&sync->arena);
	arena_init(&sync->arena, LB_MAX_SLOTS);
	for (uint32_t id = 1; id < LB_MAX_POOLS; id++) {
		uint64_t table = row(sync, id)->table;
		int rc;

		if (LB_TABLE_SIZE(table) == 0)
			continue;
		rc = arena_reserve(&sync->arena, LB_TABLE_OFFSET(table), LB_TABLE_SIZE(table));
		if (rc == -ENOMEM)
			return rc;
		if (rc)
			log_warning("table of pool '%.63s' is damaged, it is written anew",
				    row(sync, id)->name);
	}
	return 0;
}

static bool holds(const struct sync *sync, uint64_t table, const struct wanted_pool *wanted)
{
	uint32_t offset = LB_TABLE_OFFSET(table);

	if (LB_TABLE_SIZE(table) != wanted->n_slots)
		return false;
	if (wanted->n_slots == 0)
		return true;
	/* Dense: four ids a line, and lines follow each other without a gap. */
	return arena_has(&sync->arena, offset, wanted->n_slots) &&
	       memcmp((const uint16_t *)sync->view.slots + offset, wanted->slots,
		      wanted->n_slots * sizeof(*wanted->slots)) == 0;
}

/* Waits once for a retired region when nothing else is left. */
static int allocate(struct sync *sync, uint32_t size, uint32_t *ret_offset)
{
	uint64_t now_ms = sync->ops->now_ms(sync->ctx);
	int rc = arena_alloc(&sync->arena, size, now_ms, ret_offset);
	uint32_t wait_ms;

	if (rc != -ENOSPC)
		return rc;
	wait_ms = arena_wait_ms(&sync->arena, now_ms);
	if (wait_ms == 0)
		return rc;
	/* All of them, so that neighbours join into one gap. */
	sync->ops->wait_ms(sync->ctx, SYNC_RETIRE_MS);
	return arena_alloc(&sync->arena, size, sync->ops->now_ms(sync->ctx), ret_offset);
}

static int flip(struct sync *sync, uint32_t id, uint64_t table)
{
	uint64_t old = row(sync, id)->table;
	int rc = sync->ops->pool_table(sync->ctx, id, table);

	if (rc == 0 && LB_TABLE_SIZE(old) &&
	    arena_has(&sync->arena, LB_TABLE_OFFSET(old), LB_TABLE_SIZE(old)))
		arena_retire(&sync->arena, LB_TABLE_OFFSET(old),
			     sync->ops->now_ms(sync->ctx) + SYNC_RETIRE_MS);
	return rc;
}

static int write_table(struct sync *sync, const struct wanted_pool *wanted)
{
	uint32_t offset;
	int rc;

	if (holds(sync, row(sync, wanted->id)->table, wanted))
		return 0;
	if (wanted->n_slots == 0)
		return flip(sync, wanted->id, 0);
	rc = allocate(sync, wanted->n_slots, &offset);
	if (rc)
		return rc;
	rc = sync->ops->slots(sync->ctx, offset, wanted->slots, wanted->n_slots);
	if (rc == 0)
		rc = flip(sync, wanted->id, LB_TABLE(offset, wanted->n_slots));
	if (rc)
		arena_retire(&sync->arena, offset, sync->ops->now_ms(sync->ctx) + SYNC_RETIRE_MS);
	return rc;
}

int sync_pools_write(struct sync *sync, const struct wanted *wanted)
{
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < wanted->n_pools; i++) {
		const struct wanted_pool *pool = &wanted->pools[i];
		struct lb_pool body;

		rc = write_table(sync, pool);
		body_of(pool, &body);
		if (rc == 0 && !same_body(row(sync, pool->id), &body))
			rc = sync->ops->pool_body(sync->ctx, pool->id, &body);
	}
	return rc;
}

/* The name stays: tombstones' identities contain it. */
static int forget(struct sync *sync, uint32_t id)
{
	struct lb_pool body = *row(sync, id);
	int rc = 0;

	if (body.table)
		rc = flip(sync, id, 0);
	body.used = 0;
	if (rc == 0 && row(sync, id)->used)
		rc = sync->ops->pool_body(sync->ctx, id, &body);
	return rc;
}

int sync_pools_remove(struct sync *sync, const struct wanted *wanted)
{
	uint8_t listed[LB_MAX_POOLS] = {0};
	int rc = 0;

	for (uint32_t i = 0; i < wanted->n_pools; i++)
		listed[wanted->pools[i].id] = 1;
	for (uint32_t id = 1; rc == 0 && id < LB_MAX_POOLS; id++) {
		if (!listed[id] && (row(sync, id)->used || row(sync, id)->table))
			rc = forget(sync, id);
	}
	return rc;
}
