/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "proxy/snapshot.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

struct service_set *service_set_new(uint32_t n_services)
{
	struct service_set *set = calloc(1, sizeof(*set));

	if (!set)
		return NULL;
	set->refs = 1;
	/* One more than asked for, so that NULL means no memory also for none. */
	set->services = calloc(n_services + 1ULL, sizeof(*set->services));
	if (!set->services) {
		free(set);
		return NULL;
	}
	set->n_services = n_services;
	return set;
}

int service_set_put(struct service_set *set, uint32_t i, uint32_t id,
		    const struct service_spec *spec)
{
	struct snapshot_service *service = &set->services[i];

	int r;

	assert(i < set->n_services && id < LB_MAX_SERVICES);
	r = route_table_new(spec, &service->table);
	if (r < 0)
		return r;
	service->route_pool = calloc(service->table->n_pools + 1ULL, sizeof(*service->route_pool));
	if (!service->route_pool)
		return -ENOMEM;
	service->id = id;
	service->spec = spec;
	set->by_id[id] = (uint16_t)(i + 1);
	return 0;
}

void service_set_free(struct service_set *set)
{
	if (!set || --set->refs > 0)
		return;
	for (uint32_t i = 0; i < set->n_services; i++) {
		free(set->services[i].route_pool);
		route_table_free(set->services[i].table);
	}
	if (set->on_free)
		set->on_free(set->ctx);
	free(set->services);
	free(set);
}

struct snapshot *snapshot_new(struct service_set *set, uint32_t n_pools)
{
	struct snapshot *snapshot = calloc(1, sizeof(*snapshot));

	if (!snapshot)
		return NULL;
	snapshot->pools = calloc(n_pools + 1ULL, sizeof(*snapshot->pools));
	if (!snapshot->pools) {
		free(snapshot);
		return NULL;
	}
	snapshot->set = set;
	set->refs++;
	snapshot->n_pools = n_pools;
	return snapshot;
}

void snapshot_free(struct snapshot *snapshot)
{
	if (!snapshot)
		return;
	if (snapshot->on_free)
		snapshot->on_free(snapshot->ctx, snapshot);
	service_set_free(snapshot->set);
	free(snapshot->pools);
	free(snapshot);
}

const struct snapshot_service *snapshot_find(const struct snapshot *snapshot, uint32_t id)
{
	uint32_t i = id < LB_MAX_SERVICES ? snapshot->set->by_id[id] : 0;

	return i > 0 ? &snapshot->set->services[i - 1] : NULL;
}

const struct snapshot_pool *snapshot_pool(const struct snapshot *snapshot, uint32_t id)
{
	uint32_t i = id < LB_MAX_POOLS ? snapshot->set->pool_by_id[id] : 0;

	return i > 0 ? &snapshot->pools[i - 1] : NULL;
}

static bool has_backends(const struct snapshot *snapshot, uint32_t pool)
{
	const struct balancer *balancer = snapshot->pools[pool].balancer;

	return balancer && balancer->view->count > 0;
}

/* Of a rule with shares. */
static uint32_t pool_at(const struct snapshot *snapshot, const struct route_rule *rule,
			const uint32_t *pools, uint32_t turn)
{
	uint32_t n = rule->spec->n_shares;

	if (has_backends(snapshot, pools[turn]))
		return pools[turn];
	for (uint32_t i = 1; i < n; i++) {
		uint32_t other = (turn + i) % n;

		if (rule->spec->shares[other].weight > 0 && has_backends(snapshot, pools[other]))
			return pools[other];
	}
	return pools[turn];
}

uint32_t snapshot_route_pool(const struct snapshot *snapshot,
			     const struct snapshot_service *service, uint32_t route)
{
	struct route_rule *rule = &service->table->rules[route];
	const uint32_t *pools = &service->route_pool[rule->first_pool];

	return rule->spec->n_shares < 2 ? pools[0]
					: pool_at(snapshot, rule, pools, route_turn(rule));
}

uint32_t snapshot_next_pool(const struct snapshot *snapshot, const struct snapshot_service *service,
			    uint32_t route)
{
	const struct route_rule *rule = &service->table->rules[route];
	const uint32_t *pools = &service->route_pool[rule->first_pool];

	return rule->spec->n_shares < 2 ? pools[0]
					: pool_at(snapshot, rule, pools, route_next_turn(rule));
}
