/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "daemon/project.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/entry.h"
#include "daemon/project_service.h"

/* ---- Pools by name -------------------------------------------------------------------------- */

struct use {
	const char *name;
	const struct project_pool *pool;
	bool in_kernel; /* a kernel-path service names it */
	bool tunnels;	/* ... that forwards through a tunnel */
};

struct uses {
	struct use *list; /* by name */
	uint32_t count;
};

static int compare_uses(const void *a, const void *b)
{
	return strcmp(((const struct use *)a)->name, ((const struct use *)b)->name);
}

static struct use *find_use(const struct uses *uses, const char *name)
{
	struct use key = {.name = name};

	return bsearch(&key, uses->list, uses->count, sizeof(key), compare_uses);
}

static int uses_of(const struct project *in, struct uses *ret_uses)
{
	struct uses uses = {.list = calloc(in->n_pools + 1, sizeof(*uses.list)),
			    .count = in->n_pools};

	if (!uses.list)
		return -ENOMEM;
	for (uint32_t i = 0; i < in->n_pools; i++)
		uses.list[i] = (struct use){.name = pool_spec(in->pools[i].pool)->name,
					    .pool = &in->pools[i]};
	qsort(uses.list, uses.count, sizeof(*uses.list), compare_uses);
	for (uint32_t i = 0; i < in->config->n_services; i++) {
		const struct service_spec *service = &in->config->services[i];
		struct use *use = project_in_kernel(service)
					  ? find_use(&uses, service->routes[0].pool)
					  : NULL;

		if (!use)
			continue;
		use->in_kernel = true;
		use->tunnels |= service->forward >= FORWARD_IPIP;
	}
	*ret_uses = uses;
	return 0;
}

/* ---- Room for tables ------------------------------------------------------------------------ */

/* A quarter is left for the tables that replace others, which rest for a moment. */
#define ROOM (LB_MAX_SLOTS / 4 * 3)

static bool has_hash_table(const struct pool_spec *spec)
{
	const struct algorithm_ops *ops = algorithm_create(spec->algorithm);

	return ops && ops->choice == LB_CHOICE_TABLE_HASH;
}

uint32_t project_table_size(const struct pool_spec *spec, uint32_t members, uint32_t steps)
{
	if (!has_hash_table(spec))
		return 0;
	return spec->table_size ? spec->table_size : table_size(members, steps);
}

static uint64_t room_of_tables(const struct config *config, uint32_t steps)
{
	uint64_t total = 0;

	for (uint32_t i = 0; i < config->n_pools; i++) {
		const struct pool_spec *spec = &config->pools[i].pool;

		total += project_table_size(spec, spec->n_backends, steps);
	}
	return total;
}

/* Of all pools with hash tables, also those that no kernel service names today. */
uint32_t project_table_steps(const struct config *config)
{
	uint32_t steps = 0;

	if (!config_has_kernel_service(config))
		return 0;
	while (steps < TABLE_STEPS && room_of_tables(config, steps) > ROOM)
		steps++;
	return steps;
}

/* ---- The wanted state ----------------------------------------------------------------------- */

static int project_service(const struct project *in, const struct uses *uses,
			   const struct service_spec *spec, struct wanted *wanted)
{
	const struct use *use = find_use(uses, spec->routes[0].pool);
	uint32_t id = ids_take(in->service_ids, spec->name);

	if (id == 0)
		return -ENOSPC;
	project_timeouts(spec, wanted);
	for (uint32_t i = 0; use && i < spec->n_listen; i++) {
		struct wanted_service *service = &wanted->services[wanted->n_services++];

		service->id = id;
		service->listen = spec->listen[i];
		service->pool = use->pool->id;
		if (project_rules(spec, service) < 0)
			return -ENOMEM;
		(void)snprintf(service->name, sizeof(service->name), "%s", spec->name);
	}
	return use ? project_prefixes(spec, id, wanted) : 0;
}

static int project_services(const struct project *in, const struct uses *uses,
			    struct wanted *wanted)
{
	size_t n = 1;

	for (uint32_t i = 0; i < in->config->n_services; i++)
		n += in->config->services[i].n_listen;
	wanted->services = calloc(n, sizeof(*wanted->services));
	if (!wanted->services)
		return -ENOMEM;
	for (uint32_t i = 0; i < in->config->n_services; i++) {
		const struct service_spec *spec = &in->config->services[i];
		int r = project_in_kernel(spec) ? project_service(in, uses, spec, wanted) : 0;

		if (r < 0)
			return r;
	}
	return 0;
}

static void project_backend(const struct project_pool *from, const struct backend *backend,
			    struct wanted_backend *to)
{
	to->id = backend->id;
	to->addr = backend->spec.addr;
	to->pool = from->id;
	to->eligible = backend_eligible(from->pool, backend);
	to->weight = to->eligible ? backend->effective_weight : backend->spec.weight;
	(void)snprintf(to->name, sizeof(to->name), "%s", backend->spec.name);
}

static int project_pool(const struct project_pool *from, bool tunnels, struct wanted *wanted)
{
	const struct balancer *balancer = from->balancer;
	struct wanted_pool *to = &wanted->pools[wanted->n_pools++];

	to->id = from->id;
	to->choice = balancer->ops->choice;
	to->client_only = balancer->ops->client_only;
	to->n_slots = balancer->n_slots;
	(void)snprintf(to->name, sizeof(to->name), "%s", pool_spec(from->pool)->name);
	to->slots = calloc(to->n_slots + 1, sizeof(*to->slots));
	if (!to->slots)
		return -ENOMEM;
	balancer_ids(balancer, to->slots);
	list_for_each (node, pool_all(from->pool)) {
		struct wanted_backend *backend = &wanted->backends[wanted->n_backends++];

		project_backend(from, backend_of(node), backend);
		backend->tunnel = tunnels;
	}
	return 0;
}

static void project_tombstones(const struct project *in, struct wanted *wanted)
{
	list_for_each (node, in->tombstones) {
		const struct tombstone *tombstone = container_of(node, struct tombstone, node);
		struct wanted_backend *to = &wanted->backends[wanted->n_backends++];

		to->id = tombstone->id;
		to->addr = tombstone->addr;
		to->pool = tombstone->pool;
		to->tombstone = true;
		(void)snprintf(to->name, sizeof(to->name), "%s", tombstone->name);
	}
}

static int project_pools(const struct project *in, const struct uses *uses, struct wanted *wanted)
{
	size_t n = 1;

	list_for_each (node, in->tombstones)
		n++;
	for (uint32_t i = 0; i < in->n_pools; i++)
		n += pool_count(in->pools[i].pool);
	wanted->backends = calloc(n, sizeof(*wanted->backends));
	wanted->pools = calloc(in->n_pools + 1, sizeof(*wanted->pools));
	if (!wanted->backends || !wanted->pools)
		return -ENOMEM;
	for (uint32_t i = 0; i < uses->count; i++) {
		const struct use *use = &uses->list[i];
		int r = use->in_kernel ? project_pool(use->pool, use->tunnels, wanted) : 0;

		if (r < 0)
			return r;
	}
	project_tombstones(in, wanted);
	return 0;
}

int project(const struct project *in, struct wanted *ret_wanted)
{
	struct wanted wanted = {0};
	struct uses uses;
	int r = uses_of(in, &uses);

	if (r < 0)
		return r;
	r = project_services(in, &uses, &wanted);
	if (r == 0)
		r = project_pools(in, &uses, &wanted);
	free(uses.list);
	if (r < 0) {
		wanted_fini(&wanted);
		return r;
	}
	*ret_wanted = wanted;
	return 0;
}
