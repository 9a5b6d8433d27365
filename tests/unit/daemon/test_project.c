/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/entry.h"
#include "daemon/project.h"

struct fixture {
	struct registry *registry;
	struct ids services;
	struct list tombstones;
	struct pool *pool;
	struct balancer *balancer;
	struct addr listen;
	struct route_spec route;
	struct service_spec service;
	struct config config;
};

static struct addr addr(const char *text)
{
	struct addr result = {0};

	assert_null(addr_parse(slice_of(text), true, &result));
	return result;
}

static void add(struct fixture *f, const char *text, uint32_t weight, enum backend_health health)
{
	struct backend_spec spec = {.addr = addr(text), .weight = weight};
	struct backend *backend;

	(void)snprintf(spec.name, sizeof(spec.name), "%s", text);
	assert_int_equal(pool_add(f->pool, &spec, &backend, NULL), 0);
	pool_mark(f->pool, backend, health, "ok");
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct pool_spec spec = {.name = "web", .algorithm = "round-robin"};

	assert_non_null(f);
	list_init(&f->tombstones);
	assert_int_equal(registry_new(NULL, &f->registry), 0);
	assert_int_equal(ids_init(&f->services, 16), 0);
	assert_int_equal(pool_new(&spec, f->registry, &f->pool), 0);
	f->listen = addr("10.0.0.100:80");
	(void)snprintf(f->route.pool, sizeof(f->route.pool), "web");
	f->service = (struct service_spec){.name = "web-l4",
					   .listen = &f->listen,
					   .n_listen = 1,
					   .enabled = true,
					   .routes = &f->route,
					   .n_routes = 1};
	f->config = (struct config){.services = &f->service, .n_services = 1};
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	balancer_free(f->balancer);
	pool_free(f->pool);
	ids_fini(&f->services);
	registry_free(f->registry);
	free(f);
	return 0;
}

static void run(struct fixture *f, struct wanted *wanted)
{
	struct project_pool pool = {.id = 3, .pool = f->pool};
	struct project in = {.config = &f->config,
			     .pools = &pool,
			     .n_pools = 1,
			     .service_ids = &f->services,
			     .tombstones = &f->tombstones};

	balancer_free(f->balancer);
	f->balancer = NULL;
	assert_int_equal(balancer_new("round-robin", pool_eligible(f->pool), NULL, &f->balancer),
			 0);
	pool.balancer = f->balancer;
	assert_int_equal(project(&in, wanted), 0);
}

static void a_kernel_service_brings_its_pool_and_all_its_backends(void **state)
{
	struct fixture *f = *state;
	struct wanted wanted = {0};

	add(f, "10.0.1.11:8080", 1, HEALTH_UP);
	add(f, "10.0.1.12:8080", 1, HEALTH_DOWN);
	run(f, &wanted);
	assert_int_equal(wanted.n_services, 1);
	assert_int_equal(wanted.services[0].pool, 3);
	assert_int_equal(wanted.services[0].proto, LB_PROTO_TCP);
	assert_string_equal(wanted.services[0].name, "web-l4");
	assert_int_equal(wanted.n_pools, 1);
	assert_int_equal(wanted.n_backends, 2);
	assert_true(wanted.backends[0].eligible);
	assert_false(wanted.backends[1].eligible);
	wanted_fini(&wanted);
}

static void slots_name_eligible_backends_only(void **state)
{
	struct fixture *f = *state;
	struct wanted wanted = {0};

	add(f, "10.0.1.11:8080", 1, HEALTH_DOWN);
	add(f, "10.0.1.12:8080", 1, HEALTH_UP);
	add(f, "10.0.1.13:8080", 0, HEALTH_UP);
	run(f, &wanted);
	assert_true(wanted.pools[0].n_slots > 0);
	for (uint32_t i = 0; i < wanted.pools[0].n_slots; i++)
		assert_int_equal(wanted.pools[0].slots[i], wanted.backends[1].id);
	wanted_fini(&wanted);
}

static void a_proxy_service_brings_nothing(void **state)
{
	struct fixture *f = *state;
	struct wanted wanted = {0};

	add(f, "10.0.1.11:8080", 1, HEALTH_UP);
	f->service.path = PATH_PROXY;
	run(f, &wanted);
	assert_int_equal(wanted.n_services, 0);
	assert_int_equal(wanted.n_pools, 0);
	assert_int_equal(wanted.n_backends, 0);
	wanted_fini(&wanted);
}

static void a_removed_backend_stays_as_a_tombstone(void **state)
{
	struct fixture *f = *state;
	struct tombstone tombstone = {.id = 77, .pool = 3, .addr = addr("10.0.1.99:80")};
	struct wanted wanted = {0};

	add(f, "10.0.1.11:8080", 1, HEALTH_UP);
	list_append(&f->tombstones, &tombstone.node);
	run(f, &wanted);
	assert_int_equal(wanted.n_backends, 2);
	assert_int_equal(wanted.backends[1].id, 77);
	assert_true(wanted.backends[1].tombstone);
	assert_false(wanted.backends[1].eligible);
	wanted_fini(&wanted);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_kernel_service_brings_its_pool_and_all_its_backends, setup, teardown),
		cmocka_unit_test_setup_teardown(slots_name_eligible_backends_only, setup, teardown),
		cmocka_unit_test_setup_teardown(a_proxy_service_brings_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(a_removed_backend_stays_as_a_tombstone, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
