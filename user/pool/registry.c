/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "pool/registry.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "pool/spec.h"
#include "pool/view.h"

#define N_CHAINS 16384 /* a power of two */

/*
 * What an id is. registry_take, _adopt, _release and _sweep move it:
 *   FREE       belongs to nobody
 *   ADOPTED    found in the maps; its time as a tombstone begins with the first sweep
 *   TAKEN      a backend of the configuration
 *   TOMBSTONE  removed; flows may still name it
 */
enum id_state { ID_FREE, ID_ADOPTED, ID_TAKEN, ID_TOMBSTONE };

struct identity {
	char pool[POOL_NAME_LEN];
	struct addr addr;
	enum id_state state;
	uint16_t next; /* id in the same chain, 0: the last */
	uint64_t released_ms;
};

struct registry {
	struct lb_live *rows;
	struct lb_live *own_rows; /* NULL when they were given */
	uint32_t lowest;	  /* no id below it is free */
	void (*mark)(void *ctx, uint8_t *bits);
	void *mark_ctx;
	uint16_t chains[N_CHAINS];
	struct identity ids[LB_MAX_BACKENDS];
};

int registry_new(struct lb_live *rows, struct registry **ret_registry)
{
	/* calloc: pages of ids that nobody ever has stay untouched. */
	struct registry *registry = calloc(1, sizeof(*registry));

	if (!registry)
		return -ENOMEM;
	registry->rows = rows;
	registry->lowest = 1;
	if (!rows) {
		registry->own_rows = calloc(LB_MAX_BACKENDS, sizeof(*rows));
		registry->rows = registry->own_rows;
	}
	if (!registry->rows) {
		registry_free(registry);
		return -ENOMEM;
	}
	*ret_registry = registry;
	return 0;
}

void registry_free(struct registry *registry)
{
	if (!registry)
		return;
	free(registry->own_rows);
	free(registry);
}

static uint16_t *chain(struct registry *registry, const char *pool, const struct addr *addr)
{
	XXH64_hash_t hash = XXH64(addr->ip, sizeof(addr->ip), addr->port);

	hash = XXH64(pool, strlen(pool), hash);
	return &registry->chains[hash % N_CHAINS];
}

/* 0: this identity has no id. */
static uint16_t find(struct registry *registry, const char *pool, const struct addr *addr)
{
	uint16_t id = *chain(registry, pool, addr);

	for (; id != 0; id = registry->ids[id].next) {
		const struct identity *identity = &registry->ids[id];

		if (addr_equal(&identity->addr, addr) && strcmp(identity->pool, pool) == 0)
			break;
	}
	return id;
}

static void insert(struct registry *registry, uint16_t id, const char *pool,
		   const struct addr *addr)
{
	uint16_t *head = chain(registry, pool, addr);
	struct identity *identity = &registry->ids[id];

	memset(identity, 0, sizeof(*identity));
	memcpy(identity->pool, pool, strlen(pool)); /* callers checked that it fits with its NUL */
	identity->addr = *addr;
	identity->next = *head;
	*head = id;
}

static void forget(struct registry *registry, uint16_t id)
{
	struct identity *identity = &registry->ids[id];
	uint16_t *link = chain(registry, identity->pool, &identity->addr);

	while (*link != id)
		link = &registry->ids[*link].next;
	*link = identity->next;
	memset(identity, 0, sizeof(*identity));
	if (id < registry->lowest)
		registry->lowest = id;
}

int registry_adopt(struct registry *registry, uint16_t id, const char *pool,
		   const struct addr *addr)
{
	if (id == 0 || strnlen(pool, POOL_NAME_LEN) == POOL_NAME_LEN)
		return -EINVAL;
	if (registry->ids[id].state != ID_FREE || find(registry, pool, addr) != 0)
		return -EEXIST;
	insert(registry, id, pool, addr);
	registry->ids[id].state = ID_ADOPTED;
	return 0;
}

/* 0: none is free. */
static uint16_t free_id(struct registry *registry)
{
	while (registry->lowest < LB_MAX_BACKENDS &&
	       registry->ids[registry->lowest].state != ID_FREE)
		registry->lowest++;
	return registry->lowest < LB_MAX_BACKENDS ? (uint16_t)registry->lowest : 0;
}

int registry_take(struct registry *registry, const char *pool, const struct addr *addr,
		  uint64_t now_ms, uint16_t *ret_id)
{
	uint16_t id;

	if (strnlen(pool, POOL_NAME_LEN) == POOL_NAME_LEN)
		return -EINVAL;
	id = find(registry, pool, addr);
	if (id == 0) {
		id = free_id(registry);
		if (id == 0 && registry_sweep(registry, now_ms) > 0)
			id = free_id(registry);
		if (id == 0)
			return -ENOSPC;
		insert(registry, id, pool, addr);
		memset(&registry->rows[id], 0, sizeof(registry->rows[id]));
	}
	registry->ids[id].state = ID_TAKEN;
	*ret_id = id;
	return 0;
}

bool registry_knows(struct registry *registry, const char *pool, const struct addr *addr)
{
	return find(registry, pool, addr) != 0;
}

static bool are_free(const struct registry *registry, uint32_t n)
{
	for (uint32_t id = registry->lowest; n > 0 && id < LB_MAX_BACKENDS; id++)
		n -= registry->ids[id].state == ID_FREE;
	return n == 0;
}

bool registry_has_room(struct registry *registry, uint32_t n, uint64_t now_ms)
{
	return are_free(registry, n) ||
	       (registry_sweep(registry, now_ms) > 0 && are_free(registry, n));
}

void registry_release(struct registry *registry, uint16_t id, uint64_t now_ms)
{
	struct identity *identity = &registry->ids[id];

	assert(identity->state == ID_TAKEN);
	identity->state = ID_TOMBSTONE;
	identity->released_ms = now_ms;
}

static bool is_over(const struct registry *registry, uint16_t id, uint64_t now_ms)
{
	const struct identity *identity = &registry->ids[id];
	const struct lb_live *row = &registry->rows[id];

	return identity->state == ID_TOMBSTONE &&
	       now_ms >= identity->released_ms + REGISTRY_TOMBSTONE_MS && live_open(row) == 0 &&
	       live_pending(row) == 0;
}

void registry_ask(struct registry *registry, void (*mark)(void *ctx, uint8_t *bits), void *ctx)
{
	registry->mark = mark;
	registry->mark_ctx = ctx;
}

/* How many may be forgotten, if nothing names them. */
static uint32_t count_over(struct registry *registry, uint64_t now_ms)
{
	uint32_t over = 0;

	for (uint32_t id = 1; id < LB_MAX_BACKENDS; id++) {
		struct identity *identity = &registry->ids[id];

		if (identity->state == ID_ADOPTED) {
			identity->state = ID_TOMBSTONE;
			identity->released_ms = now_ms;
		}
		over += is_over(registry, (uint16_t)id, now_ms);
	}
	return over;
}

uint32_t registry_sweep(struct registry *registry, uint64_t now_ms)
{
	uint8_t *named = count_over(registry, now_ms) ? calloc(1, REGISTRY_BITS_LEN) : NULL;
	uint32_t forgotten = 0;

	if (!named)
		return 0;
	if (registry->mark)
		registry->mark(registry->mark_ctx, named);
	for (uint32_t id = 1; id < LB_MAX_BACKENDS; id++) {
		if (!is_over(registry, (uint16_t)id, now_ms))
			continue;
		if (named[id / 8] & (1U << id % 8)) {
			registry->ids[id].released_ms =
				now_ms + REGISTRY_AGAIN_MS - REGISTRY_TOMBSTONE_MS;
			continue;
		}
		forget(registry, (uint16_t)id);
		forgotten++;
	}
	free(named);
	return forgotten;
}

struct lb_live *registry_row(struct registry *registry, uint16_t id)
{
	return &registry->rows[id];
}

bool registry_is_tombstone(const struct registry *registry, uint16_t id)
{
	return registry->ids[id].state == ID_TOMBSTONE || registry->ids[id].state == ID_ADOPTED;
}

bool registry_identity(const struct registry *registry, uint16_t id, const char **ret_pool,
		       struct addr *ret_addr)
{
	if (registry->ids[id].state == ID_FREE)
		return false;
	*ret_pool = registry->ids[id].pool;
	*ret_addr = registry->ids[id].addr;
	return true;
}
