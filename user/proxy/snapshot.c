/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "proxy/snapshot.h"

#include <errno.h>
#include <stdlib.h>

struct snapshot *snapshot_new(uint32_t n_services, uint32_t n_pools)
{
	struct snapshot *snapshot = calloc(1, sizeof(*snapshot));

	if (!snapshot)
		return NULL;
	/* One more than asked for, so that NULL means no memory also for none. */
	snapshot->services = calloc(n_services + 1ULL, sizeof(*snapshot->services));
	snapshot->pools = calloc(n_pools + 1ULL, sizeof(*snapshot->pools));
	if (!snapshot->services || !snapshot->pools) {
		snapshot_free(snapshot);
		return NULL;
	}
	snapshot->n_services = n_services;
	snapshot->n_pools = n_pools;
	return snapshot;
}

static void service_fini(struct snapshot_service *service)
{
	free(service->spec.listen);
	free(service->spec.routes);
	free(service->route_pool);
}

static void *copy_array(const void *from, size_t count, size_t size)
{
	void *copy = calloc(count + 1, size);

	if (copy && count > 0)
		memcpy(copy, from, count * size);
	return copy;
}

int snapshot_set_service(struct snapshot *snapshot, uint32_t i, uint32_t id,
			 const struct service_spec *spec)
{
	struct snapshot_service service = {.id = id, .spec = *spec};

	service.spec.listen = copy_array(spec->listen, spec->n_listen, sizeof(*spec->listen));
	service.spec.routes = copy_array(spec->routes, spec->n_routes, sizeof(*spec->routes));
	service.route_pool = calloc(spec->n_routes + 1ULL, sizeof(*service.route_pool));
	if (!service.spec.listen || !service.spec.routes || !service.route_pool) {
		service_fini(&service);
		return -ENOMEM;
	}
	service_fini(&snapshot->services[i]);
	snapshot->services[i] = service;
	return 0;
}

void snapshot_free(struct snapshot *snapshot)
{
	if (!snapshot)
		return;
	if (snapshot->on_free)
		snapshot->on_free(snapshot->ctx, snapshot);
	for (uint32_t i = 0; i < snapshot->n_services; i++)
		service_fini(&snapshot->services[i]);
	free(snapshot->services);
	free(snapshot->pools);
	free(snapshot);
}

const struct snapshot_service *snapshot_find(const struct snapshot *snapshot, uint32_t id)
{
	for (uint32_t i = 0; i < snapshot->n_services; i++)
		if (snapshot->services[i].id == id)
			return &snapshot->services[i];
	return NULL;
}
