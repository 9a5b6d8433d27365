/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The immutable picture the workers balance by: services, routes, pools with their balancers.
 *
 * For: handing configuration and eligibility from the control thread to workers without a lock.
 * Owns: its services and routes; balancers are owned by the daemon, which frees them with the
 * snapshot (on_free). May know: base, algorithm, pool's views.
 *
 * A worker reads proxy_snapshot() anew for every request and keeps no pointer into it across a
 * return to the loop. The control thread frees a retired snapshot when every worker has passed.
 */
#ifndef PROXY_SNAPSHOT_H
#define PROXY_SNAPSHOT_H

#include "algorithm/balancer.h"
#include "proxy/spec.h"

struct snapshot_pool {
	char name[SERVICE_NAME_LEN];
	struct balancer *balancer;
};

struct snapshot_service {
	uint32_t id;		  /* stable while the service's name exists; listeners carry it */
	struct service_spec spec; /* deep copy */
	uint32_t *route_pool;	  /* spec.routes[i] -> index into pools */
};

struct snapshot {
	struct snapshot_service *services;
	uint32_t n_services;
	struct snapshot_pool *pools;
	uint32_t n_pools;
	uint64_t epoch; /* given by proxy_publish */
	struct snapshot *next_retired;
	void (*on_free)(void *ctx, struct snapshot *snapshot); /* frees balancers; may be NULL */
	void *ctx;
};

/* Room for that many; zeroed. The caller fills. */
struct snapshot *snapshot_new(uint32_t n_services, uint32_t n_pools);
/* Deep copy of <spec> into services[i]; 0 or -ENOMEM. */
int snapshot_set_service(struct snapshot *snapshot, uint32_t i, uint32_t id,
			 const struct service_spec *spec);
void snapshot_free(struct snapshot *snapshot);
const struct snapshot_service *snapshot_find(const struct snapshot *snapshot, uint32_t id);

#endif
