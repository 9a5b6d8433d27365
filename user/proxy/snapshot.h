/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The immutable picture the workers balance by: services, routes, pools with their balancers.
 *
 * For: handing configuration and eligibility from the control thread to workers without a lock.
 * Owns: its arrays. Specs and balancers are owned by the daemon, which lets go of them when the
 * last snapshot that names them does (on_free). May know: base, algorithm, pool's views.
 *
 * Two parts of two ages: the services change with the configuration only, so one service_set
 * serves many snapshots; the pools change with every turn of a backend's health.
 * A worker reads proxy_snapshot() anew for every request and keeps no pointer into it across a
 * return to the loop. The control thread frees a retired snapshot when every worker has passed.
 */
#ifndef PROXY_SNAPSHOT_H
#define PROXY_SNAPSHOT_H

#include "algorithm/balancer.h"
#include "lb/abi.h"
#include "proxy/route_table.h"

struct access_log;

struct snapshot_pool {
	const struct pool_spec *spec; /* of the configuration; without its backends */
	uint32_t id;		      /* stable while the pool's name exists */
	struct balancer *balancer;    /* over the eligible backends */
	/* Healthy ones that drain, each since since_ms (monotonic): for clients that belong to one,
	 * until the service's drain time-out. NULL: none */
	struct view *draining;
};

struct snapshot_service {
	uint32_t id; /* stable while the service's name exists; listeners carry it */
	const struct service_spec *spec;
	struct route_table *table;
	const struct access_log *log; /* NULL: none */
	uint32_t *route_pool; /* of all routes, one after the other (route_n_pools() of each): index
				 into the snapshot's pools */
};

/* Counted by the control thread alone. */
struct service_set {
	unsigned refs;
	uint32_t n_services;
	struct snapshot_service *services;
	uint16_t by_id[LB_MAX_SERVICES];   /* index + 1; 0: no such service */
	uint16_t pool_by_id[LB_MAX_POOLS]; /* likewise, into the snapshots' pools */
	void (*on_free)(void *ctx);	   /* lets go of the specs; may be NULL */
	void *ctx;
};

struct snapshot {
	struct service_set *set;
	struct snapshot_pool *pools;
	uint32_t n_pools;
	uint64_t epoch; /* given by proxy_publish */
	struct snapshot *next_retired;
	void (*on_free)(void *ctx, struct snapshot *snapshot); /* frees balancers; may be NULL */
	void *ctx;
};

/* Room for that many services, one reference; NULL: no memory. */
struct service_set *service_set_new(uint32_t n_services);
/* Services i, which is borrowed from the configuration. <id> is below LB_MAX_SERVICES. 0 or
 * -ENOMEM. */
int service_set_put(struct service_set *set, uint32_t i, uint32_t id,
		    const struct service_spec *spec);
void service_set_free(struct service_set *set); /* drops a reference; NULL is fine */

/* Zeroed pools, for the caller to fill; takes a reference of its own to <set>. */
struct snapshot *snapshot_new(struct service_set *set, uint32_t n_pools);
void snapshot_free(struct snapshot *snapshot);
/* NULL: no such service, or pool, any more. */
const struct snapshot_service *snapshot_find(const struct snapshot *snapshot, uint32_t id);
/* Which pool the next request of that route goes to: those without an eligible backend are passed
 * over if another one has some. An index into the pools. */
uint32_t snapshot_route_pool(const struct snapshot *snapshot,
			     const struct snapshot_service *service, uint32_t route);
/* The same, and it is not a request: nobody's turn moves on. */
uint32_t snapshot_next_pool(const struct snapshot *snapshot, const struct snapshot_service *service,
			    uint32_t route);
const struct snapshot_pool *snapshot_pool(const struct snapshot *snapshot, uint32_t id);

#endif
