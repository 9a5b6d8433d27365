/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "dataplane/sync.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/sync_parts.h"

void sync_init(struct sync *sync, const struct map_ops *ops, void *ctx, const struct map_view *view)
{
	*sync = (struct sync){.ops = ops, .ctx = ctx, .view = *view};
}

void sync_fini(struct sync *sync)
{
	if (!sync)
		return;
	arena_fini(&sync->arena);
	keyed_fini(&sync->services);
	keyed_fini(&sync->prefixes);
	*sync = (struct sync){0};
}

/* FNV-1a, 64 bit (the authors' page, isthe.com/chongo/tech/comp/fnv). */
uint64_t sync_pool_seed(const char *name)
{
	uint64_t hash = 0xcbf29ce484222325ULL;

	for (; *name; name++)
		hash = (hash ^ (uint8_t)*name) * 0x100000001b3ULL;
	return hash;
}

static int check_slots(const struct wanted_pool *pool, struct error *err)
{
	if (pool->n_slots > LB_MAX_TABLE)
		return error_set(err, -EINVAL, "pools",
				 "table of pool '%s' has %u slots; at most %d", pool->name,
				 pool->n_slots, LB_MAX_TABLE);
	for (uint32_t i = 0; i < pool->n_slots; i++) {
		if (pool->slots[i] == 0)
			return error_set(err, -EINVAL, "pools",
					 "slot %u of pool '%s' names no backend", i, pool->name);
	}
	return 0;
}

/* Ids index memory that is mapped: nothing outside the arrays may get further than here. */
static int check(const struct wanted *wanted, struct error *err)
{
	int rc;

	for (uint32_t i = 0; i < wanted->n_pools; i++) {
		const struct wanted_pool *pool = &wanted->pools[i];

		if (pool->id == 0 || pool->id >= LB_MAX_POOLS)
			return error_set(err, -EINVAL, "pools",
					 "id %u of pool '%s' is out of range", pool->id,
					 pool->name);
		rc = check_slots(pool, err);
		if (rc)
			return rc;
	}
	for (uint32_t i = 0; i < wanted->n_services; i++) {
		const struct wanted_service *service = &wanted->services[i];

		if (service->id == 0 || service->id >= LB_MAX_SERVICES || service->pool == 0 ||
		    service->pool >= LB_MAX_POOLS)
			return error_set(err, -EINVAL, "services",
					 "an id of service '%s' is out of range", service->name);
	}
	for (uint32_t i = 0; i < wanted->n_backends; i++) {
		const struct wanted_backend *backend = &wanted->backends[i];

		if (backend->id == 0 || backend->pool >= LB_MAX_POOLS)
			return error_set(err, -EINVAL, "backends",
					 "an id of backend '%s' is out of range", backend->name);
	}
	return 0;
}

static int load(struct sync *sync)
{
	int rc;

	if (sync->loaded)
		return 0;
	rc = sync_backends_load(sync);
	if (rc == 0)
		rc = sync_pools_load(sync);
	if (rc == 0)
		rc = keyed_load(&service_ops, sync, &sync->services);
	if (rc == 0)
		rc = keyed_load(&prefix_ops, sync, &sync->prefixes);
	sync->loaded = rc == 0;
	sync_sources_changed(sync); /* while nobody looked */
	return rc;
}

/* What is wanted of the two maps that are not memory. */
struct lists {
	struct keyed services;
	struct keyed prefixes;
};

static void lists_fini(struct lists *lists)
{
	keyed_fini(&lists->services);
	keyed_fini(&lists->prefixes);
}

static int make_lists(struct sync *sync, const struct wanted *wanted, struct lists *ret_lists,
		      struct error *err)
{
	struct lists lists = {0};
	int rc = sync_prefixes_of(wanted, &lists.prefixes);

	if (rc)
		return error_set(err, rc, "", "out of memory");
	rc = sync_services_of(sync, wanted, &lists.services, err);
	if (rc)
		lists_fini(&lists);
	else
		*ret_lists = lists;
	return rc;
}

/* They are what the maps hold now. */
static void keep_lists(struct sync *sync, const struct lists *lists)
{
	keyed_fini(&sync->services);
	keyed_fini(&sync->prefixes);
	sync->services = lists->services;
	sync->prefixes = lists->prefixes;
}

/*
 * The order is the point. A backend is in the map before a table names it, a table before a service
 * leads to it; and what goes away goes the other way round.
 */
static int write_all(struct sync *sync, const struct wanted *wanted, const struct lists *lists)
{
	int rc = sync_backends_flags(sync, wanted);

	if (rc == 0)
		rc = sync_ends_write(sync, wanted);
	if (rc == 0)
		rc = sync_backends_write(sync, wanted);
	if (rc == 0)
		rc = sync_pools_write(sync, wanted);
	if (rc == 0)
		rc = keyed_write(&prefix_ops, sync, &sync->prefixes, &lists->prefixes);
	if (rc == 0)
		rc = keyed_write(&service_ops, sync, &sync->services, &lists->services);
	if (rc == 0)
		rc = keyed_remove(&service_ops, sync, &sync->services, &lists->services);
	if (rc == 0)
		rc = keyed_remove(&prefix_ops, sync, &sync->prefixes, &lists->prefixes);
	if (rc == 0)
		rc = sync_pools_remove(sync, wanted);
	if (rc == 0)
		rc = sync_backends_remove(sync, wanted);
	return rc;
}

int sync_write(struct sync *sync, const struct wanted *wanted, struct error *err)
{
	struct lists lists = {0};
	int rc = check(wanted, err);

	if (rc)
		return rc;
	rc = make_lists(sync, wanted, &lists, err);
	if (rc)
		return rc;
	rc = load(sync);
	if (rc == 0)
		rc = write_all(sync, wanted, &lists);
	if (rc) {
		/* What lb_services and lb_prefixes hold now is unknown: ask again next time. */
		sync->loaded = false;
		lists_fini(&lists);
		return error_set(err, rc, "", "cannot write the kernel's tables: %s",
				 strerror(-rc));
	}
	keep_lists(sync, &lists);
	return 0;
}
