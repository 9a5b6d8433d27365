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

static void run_with(struct fixture *f, const char *algorithm, struct wanted *wanted)
{
	struct project_pool pool = {.id = 3, .pool = f->pool};
	struct project in = {.config = &f->config,
			     .pools = &pool,
			     .n_pools = 1,
			     .service_ids = &f->services,
			     .tombstones = &f->tombstones};

	balancer_free(f->balancer);
	f->balancer = NULL;
	assert_int_equal(balancer_new(algorithm, pool_eligible(f->pool), NULL, &f->balancer), 0);
	pool.balancer = f->balancer;
	assert_int_equal(project(&in, wanted), 0);
}

static void run(struct fixture *f, struct wanted *wanted)
{
	run_with(f, "round-robin", wanted);
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

static const struct wanted_backend *by_id(const struct wanted *wanted, uint16_t id)
{
	for (uint32_t i = 0; i < wanted->n_backends; i++) {
		if (wanted->backends[i].id == id)
			return &wanted->backends[i];
	}
	fail_msg("no backend has the id %u of a slot", id);
	return NULL;
}

/* Their ids differ: they are handed out as the backends come. */
static void two_daemons_told_in_opposite_order_make_one_table(void **state)
{
	enum { BACKENDS = 20 };
	static const char *const algorithms[] = {"maglev", "source-hash"};
	struct fixture *f = *state;
	void *other;

	assert_int_equal(setup(&other), 0);
	for (uint32_t i = 0; i < BACKENDS; i++) {
		char text[32];

		(void)snprintf(text, sizeof(text), "10.0.1.%u:80", 1 + i);
		add(f, text, 1 + i % 3, HEALTH_UP);
		(void)snprintf(text, sizeof(text), "10.0.1.%u:80", BACKENDS - i);
		add(other, text, 1 + (BACKENDS - 1 - i) % 3, HEALTH_UP);
	}
	for (size_t i = 0; i < sizeof(algorithms) / sizeof(algorithms[0]); i++) {
		struct wanted one = {0};
		struct wanted two = {0};

		run_with(f, algorithms[i], &one);
		run_with(other, algorithms[i], &two);
		assert_int_equal(one.pools[0].n_slots, two.pools[0].n_slots);
		assert_memory_not_equal(one.pools[0].slots, two.pools[0].slots,
					one.pools[0].n_slots * sizeof(uint16_t));
		for (uint32_t slot = 0; slot < one.pools[0].n_slots; slot++)
			assert_true(addr_equal(&by_id(&one, one.pools[0].slots[slot])->addr,
					       &by_id(&two, two.pools[0].slots[slot])->addr));
		wanted_fini(&one);
		wanted_fini(&two);
	}
	teardown(&other);
}

static void tables_shrink_step_by_step_when_there_are_too_many(void **state)
{
	static const struct {
		const char *algorithm;
		uint32_t pools;
		uint32_t backends;   /* of each */
		uint32_t table_size; /* of each */
		uint32_t steps;
	} rows[] = {
		{"maglev", 1, 1, 0, 0},	       {"maglev", 192, 3, 0, 0},
		{"maglev", 193, 3, 0, 1},      {"source-hash", 768, 100, 0, 1},
		{"source-hash", 769, 3, 0, 2}, {"maglev", 3081, 3, 0, 2},
		{"maglev", 3082, 3, 0, 3},     {"maglev", 4095, 3, 0, 3},
		{"maglev", 48, 200, 0, 0},     {"maglev", 49, 200, 0, 1},
		{"maglev", 400, 3, 4093, 0},   {"round-robin", 4095, 3, 0, 0},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct config config = f->config;
		uint64_t room = 0;
		uint32_t steps;

		config.n_pools = rows[i].pools;
		config.pools = calloc(config.n_pools, sizeof(*config.pools));
		assert_non_null(config.pools);
		for (uint32_t p = 0; p < config.n_pools; p++) {
			struct pool_spec *spec = &config.pools[p].pool;

			(void)snprintf(spec->algorithm, sizeof(spec->algorithm), "%s",
				       rows[i].algorithm);
			spec->n_backends = rows[i].backends;
			spec->table_size = rows[i].table_size;
		}
		steps = project_table_steps(&config);
		for (uint32_t p = 0; p < config.n_pools; p++)
			room += (project_table_size(&config.pools[p].pool, rows[i].backends,
						    steps) +
				 3) &
				~3U;
		if (steps != rows[i].steps || room > LB_MAX_SLOTS)
			fail_msg("%u pools of %u, %s: %u steps and %u slots, expected %u steps and "
				 "at most %u",
				 rows[i].pools, rows[i].backends, rows[i].algorithm, steps,
				 (unsigned)room, rows[i].steps, LB_MAX_SLOTS);
		config.services = NULL;
		config.n_services = 0;
		assert_int_equal(project_table_steps(&config), 0);
		free(config.pools);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_kernel_service_brings_its_pool_and_all_its_backends, setup, teardown),
		cmocka_unit_test_setup_teardown(slots_name_eligible_backends_only, setup, teardown),
		cmocka_unit_test_setup_teardown(two_daemons_told_in_opposite_order_make_one_table,
						setup, teardown),
		cmocka_unit_test_setup_teardown(tables_shrink_step_by_step_when_there_are_too_many,
						setup, teardown),
		cmocka_unit_test_setup_teardown(a_proxy_service_brings_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(a_removed_backend_stays_as_a_tombstone, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
