/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <string.h>

#include "dataplane/state.h"

static bool named(const struct lb_pool *pool)
{
	return pool->name[0] && memchr(pool->name, '\0', sizeof(pool->name));
}

static void each_pool(const struct dataplane *dp, const struct dataplane_identities *fns, void *ctx)
{
	for (uint32_t id = 1; fns->pool && id < LB_MAX_POOLS; id++) {
		const struct lb_pool *pool = &dp->maps.pools[id];

		if (pool->used && named(pool))
			fns->pool(ctx, id, pool->name);
	}
}

/* Tombstones too: their rows still count, so their ids are not free. */
static void each_backend(const struct dataplane *dp, const struct dataplane_identities *fns,
			 void *ctx)
{
	for (uint32_t id = 1; fns->backend && id < LB_MAX_BACKENDS; id++) {
		const struct lb_backend *backend = &dp->maps.backends[id];
		struct addr addr = {.port = backend->port};

		if (!(backend->flags & (LB_BACKEND_USED | LB_BACKEND_TOMBSTONE)) ||
		    backend->pool >= LB_MAX_POOLS || !named(&dp->maps.pools[backend->pool]))
			continue;
		memcpy(addr.ip, backend->addr.b, sizeof(addr.ip));
		fns->backend(ctx, (uint16_t)id, dp->maps.pools[backend->pool].name, &addr);
	}
}

static void each_service(const struct dataplane *dp, const struct dataplane_identities *fns,
			 void *ctx)
{
	struct lb_service_key prev;
	struct lb_service_key key;
	struct lb_service value;
	uint8_t told[LB_MAX_SERVICES] = {0};

	for (uint32_t i = 0; fns->service && i < LB_MAX_LISTENERS; i++) {
		if (kernel_map_ops.service_next((void *)&dp->maps, i ? &prev : NULL, &key,
						&value) != 0)
			return;
		prev = key;
		value.name[sizeof(value.name) - 1] = '\0';
		if (value.id == 0 || value.id >= LB_MAX_SERVICES || told[value.id])
			continue;
		told[value.id] = 1;
		fns->service(ctx, value.id, value.name);
	}
}

void dataplane_each_identity(struct dataplane *dp, const struct dataplane_identities *fns,
			     void *ctx)
{
	each_pool(dp, fns, ctx);
	each_backend(dp, fns, ctx);
	each_service(dp, fns, ctx);
}
