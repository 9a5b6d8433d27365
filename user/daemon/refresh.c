/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "daemon/refresh.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/on_down.h"
#include "daemon/passive.h"
#include "daemon/project.h"
#include "daemon/upgrade.h"
#include "observe/access_log.h"
#include "observe/log_writer.h"

void refresh_soon(struct load_balancer *lb)
{
	if (!timer_running(&lb->refresh))
		timer_start(lb->loop, &lb->refresh, 0);
}

/* ---- Tombstones ---------------------------------------------------------------------------- */

static void add(struct load_balancer *lb, const struct tombstone *like)
{
	struct tombstone *tombstone = malloc(sizeof(*tombstone));

	if (!tombstone)
		return; /* the row in the map stays as it is: flows go on */
	*tombstone = *like;
	list_append(&lb->tombstones, &tombstone->node);
}

void tombstone_add(struct load_balancer *lb, uint32_t pool, const struct backend *backend)
{
	struct tombstone tombstone = {.id = backend->id, .pool = pool, .addr = backend->spec.addr};

	(void)snprintf(tombstone.name, sizeof(tombstone.name), "%s", backend->spec.name);
	add(lb, &tombstone);
}

/* Without an entry here the next write would take them out of the maps, and the start after it
 * would give their ids, with the counts of their flows, to other backends. */
void tombstone_adopt(struct load_balancer *lb)
{
	for (uint32_t id = 1; id < LB_MAX_BACKENDS; id++) {
		struct tombstone tombstone = {.id = (uint16_t)id};
		char text[ADDR_TEXT_LEN];
		const char *pool;

		if (!registry_is_tombstone(lb->registry, (uint16_t)id) ||
		    !registry_identity(lb->registry, (uint16_t)id, &pool, &tombstone.addr))
			continue;
		tombstone.pool = ids_take(&lb->pool_ids, pool);
		(void)snprintf(tombstone.name, sizeof(tombstone.name), "%s",
			       addr_format(&tombstone.addr, text));
		add(lb, &tombstone);
	}
}

void tombstone_drop(struct load_balancer *lb, uint16_t id)
{
	list_for_each_safe (node, &lb->tombstones) {
		struct tombstone *tombstone = container_of(node, struct tombstone, node);

		if (tombstone->id != id)
			continue;
		list_remove(&tombstone->node);
		free(tombstone);
	}
}

void tombstone_sweep(struct load_balancer *lb)
{
	registry_sweep(lb->registry, loop_now_ms(lb->loop));
	list_for_each_safe (node, &lb->tombstones) {
		struct tombstone *tombstone = container_of(node, struct tombstone, node);

		if (registry_is_tombstone(lb->registry, tombstone->id))
			continue;
		list_remove(&tombstone->node);
		free(tombstone);
		refresh_soon(lb);
	}
}

/* ---- Kernel -------------------------------------------------------------------------------- */

static uint32_t count(const struct list *head)
{
	uint32_t n = 0;

	for (const struct list *node = head->next; node != head; node = node->next)
		n++;
	return n;
}

static int write_kernel(struct load_balancer *lb, struct error *err)
{
	struct project_pool *pools = calloc(count(&lb->pools) + 1, sizeof(*pools));
	struct project in = {.config = lb->config,
			     .pools = pools,
			     .service_ids = &lb->service_ids,
			     .tombstones = &lb->tombstones};
	struct wanted wanted = {0};
	int r;

	if (!pools)
		return error_set(err, -ENOMEM, "", "out of memory");
	list_for_each (node, &lb->pools) {
		struct pool_entry *entry = entry_of(node);

		pools[in.n_pools++] = (struct project_pool){
			.id = entry->id, .pool = entry->pool, .balancer = entry->shared->balancer};
	}
	r = project(&in, &wanted);
	if (r < 0)
		(void)error_set(err, r, "", "cannot project the configuration: %s", strerror(-r));
	else
		r = dataplane_sync(lb->dataplane, &wanted, err);
	wanted_fini(&wanted);
	free(pools);
	return r;
}

/* ---- Workers ------------------------------------------------------------------------------- */

static void release_balancers(void *ctx, struct snapshot *snapshot)
{
	(void)snapshot;
	for (struct shared_balancer **shared = ctx; *shared; shared++)
		shared_balancer_put(*shared);
	free(ctx);
}

static uint32_t pool_index(struct load_balancer *lb, const char *name)
{
	uint32_t i = 0;

	list_for_each (node, &lb->pools) {
		if (strcmp(pool_spec(entry_of(node)->pool)->name, name) == 0)
			break;
		i++;
	}
	return i;
}

static void fill_routes(struct load_balancer *lb, struct snapshot_service *service)
{
	uint32_t *pool = service->route_pool;

	for (uint32_t i = 0; i < service->spec->n_routes; i++) {
		const struct route_spec *route = &service->spec->routes[i];

		for (uint32_t j = 0; j < route_n_pools(route); j++)
			*pool++ = pool_index(lb, route_pool_name(route, j));
	}
}

/* lb->pools has the pools of the configuration, in one order as long as that does not change. */
static int fill_set(struct load_balancer *lb, struct service_set *set)
{
	uint32_t i = 0;

	list_for_each (node, &lb->pools)
		set->pool_by_id[entry_of(node)->id] = (uint16_t)++i;
	log_writer_use_none();
	for (i = 0; i < set->n_services; i++) {
		const struct service_spec *spec = &lb->config->services[i];
		struct error err;
		int r = service_set_put(set, i, ids_take(&lb->service_ids, spec->name), spec);

		if (r == 0)
			r = access_log_open(&spec->access_log, &set->services[i].log, &err);
		if (r < 0)
			return r;
		access_log_use(set->services[i].log);
		fill_routes(lb, &set->services[i]);
	}
	return 0;
}

static void release_config(void *ctx)
{
	config_free(ctx);
}

static struct service_set *make_set(struct load_balancer *lb)
{
	struct service_set *set = service_set_new(lb->config->n_services);

	if (!set)
		return NULL;
	set->ctx = config_get(lb->config);
	set->on_free = release_config;
	if (fill_set(lb, set) == 0)
		return set;
	service_set_free(set);
	return NULL;
}

void refresh_config_changed(struct load_balancer *lb)
{
	service_set_free(lb->services);
	lb->services = NULL;
}

static void fill_pools(struct load_balancer *lb, struct snapshot *snapshot,
		       struct shared_balancer **shared)
{
	uint32_t i = 0;

	list_for_each (node, &lb->pools) {
		struct pool_entry *entry = entry_of(node);
		struct snapshot_pool *pool = &snapshot->pools[i];

		/* Not the pool's own, which a reload changes under the workers. */
		pool->spec = &config_find_pool(lb->config, pool_spec(entry->pool)->name)->pool;
		pool->id = entry->id;
		pool->balancer = entry->shared->balancer;
		pool->draining = entry->shared->draining;
		entry->shared->refs++;
		shared[i++] = entry->shared;
	}
}

static int publish(struct load_balancer *lb)
{
	uint32_t n_pools = count(&lb->pools);
	struct shared_balancer **shared = calloc(n_pools + 1, sizeof(struct shared_balancer *));
	struct snapshot *snapshot = NULL;

	if (!lb->services)
		lb->services = make_set(lb);
	if (lb->services && shared)
		snapshot = snapshot_new(lb->services, n_pools);
	if (!snapshot) {
		free(shared);
		return -ENOMEM;
	}
	snapshot->on_free = release_balancers;
	snapshot->ctx = shared;
	fill_pools(lb, snapshot, shared);
	proxy_limit(lb->proxy, lb->config->max_connections);
	proxy_on_report(lb->proxy, passive_report, lb);
	proxy_publish(lb->proxy, snapshot);
	return 0;
}

/* How long hash tables may be; the operator is told when that changes. */
static void size_tables(struct load_balancer *lb)
{
	uint32_t before = lb->table_steps;

	lb->table_steps = project_table_steps(lb->config);
	if (lb->table_steps == before)
		return;
	log_warning("maglev tables of pools without table-size have %u slots now, %u before: with "
		    "%u they would need too much of the %u slots of all pools",
		    table_size(1, lb->table_steps), table_size(1, before), table_size(1, 0),
		    LB_MAX_SLOTS);
}

int refresh_now(struct load_balancer *lb, struct error *err)
{
	int r = 0;

	timer_stop(lb->loop, &lb->refresh);
	if (upgrade_frozen(lb))
		return 0; /* it comes again if this lbd goes on */
	size_tables(lb);
	list_for_each (node, &lb->pools) {
		r = entry_rebalance(entry_of(node), lb->table_steps);
		if (r < 0)
			return error_set(err, r, "", "cannot build a balancer: %s", strerror(-r));
	}
	/* Until services open, adopted maps keep the choice the previous daemon made. */
	if (!lb->open)
		return 0;
	if (lb->dataplane)
		r = write_kernel(lb, err);
	if (lb->proxy && publish(lb) < 0)
		r = error_set(err, -ENOMEM, "", "cannot publish to the workers: out of memory");
	on_down_run(lb);
	return r;
}
