/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "pool/pool.h"
#include "pool/ramp.h"

struct fixture {
	struct registry *registry;
	struct pool *pool;
	struct backend *a, *b;
};

/* Two backends, of which nothing is known yet. */
static void begin(struct fixture *fixture, uint32_t slow_start_ms)
{
	struct pool_spec spec = {
		.name = "web", .algorithm = "round-robin", .slow_start_ms = slow_start_ms};
	struct backend_spec backend = {.weight = 1};
	struct error err = {0};

	assert_int_equal(registry_new(NULL, &fixture->registry), 0);
	assert_int_equal(pool_new(&spec, fixture->registry, &fixture->pool), 0);
	assert_null(addr_parse(SLICE("10.0.0.1:80"), false, &backend.addr));
	assert_int_equal(pool_add(fixture->pool, &backend, &fixture->a, &err), 0);
	assert_null(addr_parse(SLICE("10.0.0.2:80"), false, &backend.addr));
	assert_int_equal(pool_add(fixture->pool, &backend, &fixture->b, &err), 0);
}

static void end(struct fixture *fixture)
{
	pool_free(fixture->pool);
	registry_free(fixture->registry);
}

static void up(struct fixture *fixture, struct backend *backend)
{
	pool_mark(fixture->pool, backend, HEALTH_UP, "ok");
}

struct row {
	uint64_t elapsed_ms; /* of 16000 */
	uint32_t weight;
	uint32_t max_weight; /* in the pool */
	uint32_t step;
	uint32_t effective;
};

static const struct row rows[] = {
	{0, 1, 1, 1, 1},	{999, 1, 1, 1, 1},	  {2000, 1, 1, 2, 2},
	{8000, 1, 1, 8, 8},	{15999, 1, 1, 15, 15},	  {16000, 1, 1, 16, 16},
	{99999, 1, 1, 16, 16},	{8000, 256, 256, 8, 128}, {0, 1, 256, 1, 1},
	{8000, 10, 100, 8, 10},
};

static void a_weight_rises_by_steps_and_is_never_0(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = &rows[i];
		uint32_t step = ramp_step(row->elapsed_ms, 16000);
		uint32_t got = ramp_weight(row->weight, ramp_scale(row->max_weight), step);

		if (step != row->step || got != row->effective)
			fail_msg("row %zu: expected step %u and weight %u, got %u and %u", i,
				 row->step, row->effective, step, got);
	}
}

static void who_comes_up_among_others_starts_slowly(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 100);
	up(&f, f.a);
	pool_start_slowly(f.pool);
	up(&f, f.b);
	assert_int_equal(f.a->ramp, RAMP_STEPS);
	assert_int_equal(f.a->effective_weight, 16);
	assert_in_range(f.b->effective_weight, 1, 15);
	assert_int_equal(pool_eligible(f.pool)->members[1].weight, f.b->effective_weight);
	for (int i = 0; i < 5000 && pool_climb_in_ms(f.pool) > 0; i++) {
		usleep(1000);
		pool_climb(f.pool);
	}
	assert_int_equal(f.b->ramp, RAMP_STEPS);
	assert_int_equal(f.a->effective_weight, 1);
	assert_int_equal(f.b->effective_weight, 1);
	end(&f);
}

static void who_comes_up_alone_has_all_of_its_weight(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 100000);
	pool_start_slowly(f.pool);
	up(&f, f.a);
	assert_int_equal(f.a->effective_weight, 1);
	assert_int_equal(f.a->ramp, RAMP_STEPS);
	end(&f);
}

static void at_the_start_of_lbd_nobody_starts_slowly(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 100000);
	up(&f, f.a);
	up(&f, f.b);
	assert_int_equal(f.a->effective_weight, 1);
	assert_int_equal(f.b->effective_weight, 1);
	assert_int_equal(pool_climb_in_ms(f.pool), 0);
	end(&f);
}

static void who_drains_and_is_up_is_in_a_view_of_its_own(void **state)
{
	struct backend_spec spec;
	struct fixture f;

	(void)state;
	begin(&f, 0);
	up(&f, f.a);
	up(&f, f.b);
	assert_int_equal(pool_draining(f.pool)->count, 0);
	spec = f.a->spec;
	spec.admin = ADMIN_DRAINING;
	pool_set(f.pool, f.a, &spec);
	assert_int_equal(pool_eligible(f.pool)->count, 1);
	assert_int_equal(pool_draining(f.pool)->count, 1);
	assert_int_equal(pool_draining(f.pool)->members[0].id, f.a->id);
	assert_int_not_equal(pool_draining(f.pool)->members[0].since_ms, 0);
	pool_mark(f.pool, f.a, HEALTH_DOWN, "timeout");
	assert_int_equal(pool_draining(f.pool)->count, 0);
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_weight_rises_by_steps_and_is_never_0),
		cmocka_unit_test(who_comes_up_among_others_starts_slowly),
		cmocka_unit_test(who_comes_up_alone_has_all_of_its_weight),
		cmocka_unit_test(at_the_start_of_lbd_nobody_starts_slowly),
		cmocka_unit_test(who_drains_and_is_up_is_in_a_view_of_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
