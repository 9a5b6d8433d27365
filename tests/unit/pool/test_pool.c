/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pool/pool.h"

struct fixture {
	struct registry *registry;
	struct pool *pool;
	int changes;
};

static void count_change(void *ctx, struct pool *pool)
{
	struct fixture *fixture = ctx;

	assert_ptr_equal(pool, fixture->pool);
	fixture->changes++;
}

static struct pool_spec spec_of(bool start_up, enum when_all_down when_all_down)
{
	return (struct pool_spec){
		.name = "web",
		.algorithm = "round-robin",
		.start_up = start_up,
		.when_all_down = when_all_down,
	};
}

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	struct pool_spec spec = spec_of(false, WHEN_ALL_DOWN_REJECT);

	assert_non_null(fixture);
	assert_int_equal(registry_new(NULL, &fixture->registry), 0);
	assert_int_equal(pool_new(&spec, fixture->registry, &fixture->pool), 0);
	pool_on_change(fixture->pool, count_change, fixture);
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	pool_free(fixture->pool);
	registry_free(fixture->registry);
	free(fixture);
	return 0;
}

static struct backend_spec backend_at(const char *text, const char *name)
{
	struct backend_spec spec = {.weight = 1};

	assert_null(addr_parse(slice_of(text), true, &spec.addr));
	(void)snprintf(spec.name, sizeof(spec.name), "%s", name);
	return spec;
}

static struct backend *add(struct fixture *fixture, const char *text, const char *name)
{
	struct backend_spec spec = backend_at(text, name);
	struct backend *backend = NULL;

	assert_int_equal(pool_add(fixture->pool, &spec, &backend, NULL), 0);
	return backend;
}

static struct backend *add_up(struct fixture *fixture, const char *text, const char *name)
{
	struct backend *backend = add(fixture, text, name);

	pool_mark(fixture->pool, backend, HEALTH_UP, "ok");
	return backend;
}

static void set(struct fixture *fixture, struct backend *backend, uint32_t weight,
		enum admin_state admin)
{
	struct backend_spec spec = {.weight = weight, .admin = admin};

	pool_set(fixture->pool, backend, &spec);
}

static void a_backend_is_eligible_by_the_rule(void **state)
{
	static const struct {
		bool start_up;
		enum when_all_down when_all_down;
		enum admin_state admin;
		uint32_t weight;
		enum backend_health health;
		bool eligible;
		const char *why;
	} rows[] = {
		{false, WHEN_ALL_DOWN_REJECT, ADMIN_ENABLED, 1, HEALTH_UP, true, "eligible"},
		{false, WHEN_ALL_DOWN_REJECT, ADMIN_ENABLED, 0, HEALTH_UP, false, "weight is 0"},
		{false, WHEN_ALL_DOWN_REJECT, ADMIN_DRAINING, 1, HEALTH_UP, false, "draining"},
		{false, WHEN_ALL_DOWN_REJECT, ADMIN_DISABLED, 1, HEALTH_UP, false, "disabled"},
		{false, WHEN_ALL_DOWN_REJECT, ADMIN_ENABLED, 1, HEALTH_DOWN, false, "down: word"},
		{false, WHEN_ALL_DOWN_REJECT, ADMIN_ENABLED, 1, HEALTH_UNKNOWN, false,
		 "unknown: not_checked"},
		{true, WHEN_ALL_DOWN_REJECT, ADMIN_ENABLED, 1, HEALTH_UNKNOWN, true,
		 "eligible: not checked yet, and the pool starts up"},
		{true, WHEN_ALL_DOWN_REJECT, ADMIN_ENABLED, 1, HEALTH_DOWN, false, "down: word"},
		{true, WHEN_ALL_DOWN_REJECT, ADMIN_DRAINING, 1, HEALTH_UNKNOWN, false, "draining"},
		{false, WHEN_ALL_DOWN_ALL, ADMIN_ENABLED, 1, HEALTH_DOWN, true,
		 "eligible: down, but so are all and when-all-down is all"},
		{false, WHEN_ALL_DOWN_ALL, ADMIN_ENABLED, 0, HEALTH_DOWN, false, "weight is 0"},
		{false, WHEN_ALL_DOWN_ALL, ADMIN_DISABLED, 1, HEALTH_DOWN, false, "disabled"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fixture *fixture = *state;
		struct pool_spec spec = spec_of(rows[i].start_up, rows[i].when_all_down);
		struct backend *backend = add(fixture, "10.0.0.1:80", "a");
		char why[128];

		pool_configure(fixture->pool, &spec);
		set(fixture, backend, rows[i].weight, rows[i].admin);
		if (rows[i].health != HEALTH_UNKNOWN)
			pool_mark(fixture->pool, backend, rows[i].health, "word");
		assert_int_equal(backend_eligible(fixture->pool, backend), rows[i].eligible);
		assert_int_equal(pool_eligible(fixture->pool)->count, rows[i].eligible);
		backend_explain(fixture->pool, backend, why, sizeof(why));
		assert_string_equal(why, rows[i].why);
		pool_remove(fixture->pool, backend);
	}
}

static void when_all_down_gives_way_to_the_first_that_comes_up(void **state)
{
	struct fixture *fixture = *state;
	struct pool_spec spec = spec_of(false, WHEN_ALL_DOWN_ALL);
	struct backend *a = add_up(fixture, "10.0.0.1:80", "a");
	struct backend *b = add_up(fixture, "10.0.0.2:80", "b");

	pool_configure(fixture->pool, &spec);
	pool_mark(fixture->pool, a, HEALTH_DOWN, "timeout");
	assert_false(backend_eligible(fixture->pool, a));
	pool_mark(fixture->pool, b, HEALTH_DOWN, "timeout");
	assert_true(backend_eligible(fixture->pool, a) && backend_eligible(fixture->pool, b));
	pool_mark(fixture->pool, b, HEALTH_UP, "ok");
	assert_false(backend_eligible(fixture->pool, a));
	assert_int_equal(pool_eligible(fixture->pool)->members[0].id, b->id);
}

static void a_view_is_sorted_by_address_then_port(void **state)
{
	static const char *const texts[] = {"10.0.0.9:80",   "[fd00::1]:80", "10.0.0.1:9000",
					    "10.0.0.1:80",   "10.0.0.10:1",  "9.255.0.1:80",
					    "10.0.0.1:8080", "[::1]:443"};
	static const char *const sorted[] = {"[::1]:443",     "9.255.0.1:80",  "10.0.0.1:80",
					     "10.0.0.1:8080", "10.0.0.1:9000", "10.0.0.9:80",
					     "10.0.0.10:1",   "[fd00::1]:80"};
	struct fixture *fixture = *state;
	const struct view *view;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		add_up(fixture, texts[i], "");
	view = pool_eligible(fixture->pool);
	assert_int_equal(view->count, sizeof(sorted) / sizeof(sorted[0]));
	assert_int_equal(view->pool_size, view->count);
	for (uint32_t i = 0; i < view->count; i++) {
		const struct view_member *member = &view->members[i];

		assert_string_equal(member->name, sorted[i]);
		assert_int_equal(member->weight, 1);
		assert_ptr_equal(member->live, registry_row(fixture->registry, member->id));
	}
}

static void on_change_is_called_when_there_is_a_new_view_and_never_else(void **state)
{
	struct fixture *fixture = *state;
	struct backend *a = add(fixture, "10.0.0.1:80", "a");
	struct backend *b;

	assert_int_equal(fixture->changes, 1); /* the number of backends */
	pool_mark(fixture->pool, a, HEALTH_DOWN, "timeout");
	pool_mark(fixture->pool, a, HEALTH_DOWN, "refused");
	set(fixture, a, 5, ADMIN_ENABLED); /* down: nobody sees its weight */
	assert_int_equal(fixture->changes, 1);
	pool_mark(fixture->pool, a, HEALTH_UP, "ok");
	pool_mark(fixture->pool, a, HEALTH_UP, "ok");
	assert_int_equal(fixture->changes, 2);
	set(fixture, a, 5, ADMIN_ENABLED);
	assert_int_equal(fixture->changes, 2);
	set(fixture, a, 6, ADMIN_ENABLED);
	assert_int_equal(fixture->changes, 3);
	set(fixture, a, 6, ADMIN_DRAINING);
	assert_int_equal(fixture->changes, 4);
	set(fixture, a, 6, ADMIN_DISABLED);
	assert_int_equal(fixture->changes, 5); /* it drains no more */
	b = add(fixture, "10.0.0.2:80", "b");
	assert_int_equal(fixture->changes, 6);
	pool_remove(fixture->pool, b);
	assert_int_equal(fixture->changes, 7);
}

static void a_kept_view_does_not_change_and_outlives_its_pool(void **state)
{
	struct fixture *fixture = *state;
	struct backend *a = add_up(fixture, "10.0.0.1:80", "a");
	struct view *kept = view_get(pool_eligible(fixture->pool));

	pool_remove(fixture->pool, a);
	assert_int_equal(pool_eligible(fixture->pool)->count, 0);
	pool_free(fixture->pool);
	fixture->pool = NULL;
	assert_int_equal(kept->count, 1);
	assert_string_equal(kept->members[0].name, "a");
	view_put(kept);
}

static void what_cannot_be_added_is_refused_with_the_field(void **state)
{
	struct fixture *fixture = *state;
	struct backend_spec same_name = backend_at("10.0.0.2:80", "a");
	struct backend_spec same_addr = backend_at("10.0.0.1:80", "b");
	struct backend_spec heavy = backend_at("10.0.0.3:80", "c");
	struct backend *backend = NULL;
	struct error err;

	add(fixture, "10.0.0.1:80", "a");
	heavy.weight = BACKEND_MAX_WEIGHT + 1;
	assert_int_equal(pool_add(fixture->pool, &same_name, &backend, &err), -EEXIST);
	assert_string_equal(err.field, "name");
	assert_string_equal(err.message, "pool 'web' has a backend 'a' already");
	assert_int_equal(pool_add(fixture->pool, &same_addr, &backend, &err), -EEXIST);
	assert_string_equal(err.field, "address");
	assert_string_equal(err.message,
			    "pool 'web' has address '10.0.0.1:80' already: backend 'a'");
	assert_int_equal(pool_add(fixture->pool, &heavy, &backend, &err), -EINVAL);
	assert_string_equal(err.field, "weight");
	assert_null(backend);
	assert_int_equal(pool_count(fixture->pool), 1);
}

static void ids_survive_removal_and_are_tombstones_meanwhile(void **state)
{
	struct fixture *fixture = *state;
	struct backend *a = add(fixture, "10.0.0.1:80", "a");
	uint16_t id = a->id;

	pool_remove(fixture->pool, a);
	assert_null(pool_find(fixture->pool, "a"));
	assert_true(registry_is_tombstone(fixture->registry, id));
	assert_int_equal(add(fixture, "10.0.0.1:80", "renamed")->id, id);
	assert_false(registry_is_tombstone(fixture->registry, id));
}

static void history_keeps_the_last_changes(void **state)
{
	struct fixture *fixture = *state;
	struct backend *a = add(fixture, "10.0.0.1:80", "a");
	const struct health_change *last;

	for (uint32_t i = 0; i < BACKEND_HISTORY + 3; i++) {
		enum backend_health health = i % 2 ? HEALTH_DOWN : HEALTH_UP;

		pool_mark(fixture->pool, a, health, "word");
		pool_mark(fixture->pool, a, health, "again");
	}
	assert_int_equal(a->n_history, BACKEND_HISTORY + 3);
	last = &a->history[(a->n_history - 1) % BACKEND_HISTORY];
	assert_int_equal(last->from, HEALTH_DOWN);
	assert_int_equal(last->to, HEALTH_UP);
	assert_string_equal(last->reason, "word");
	assert_string_equal(a->health_reason, "again");
	assert_true(last->at_wall_ms > 0 && a->eligible_since_wall_ms >= last->at_wall_ms);
}

static void open_connections_are_those_of_both_paths_and_never_below_zero(void **state)
{
	static const struct {
		struct lb_live live;
		uint64_t open;
		uint64_t pending;
	} rows[] = {
		{{0}, 0, 0},
		{{.opened = 5, .closed = 2}, 3, 0},
		{{.opened = 5, .closed = 2, .proxy_opened = 10, .proxy_closed = 4}, 9, 0},
		{{.opened = 1, .closed = 2, .proxy_opened = 3, .proxy_closed = 1}, 2, 0},
		{{.pending_in = 9, .pending_out = 4}, 0, 5},
		{{.pending_in = 4, .pending_out = 9}, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(live_open(&rows[i].live), rows[i].open);
		assert_int_equal(live_pending(&rows[i].live), rows[i].pending);
	}
}

/* ---- The rule against a naive model ------------------------------------------------------- */

enum { MODEL_BACKENDS = 6, MODEL_STEPS = 20000 };

struct model {
	bool present;
	uint32_t weight;
	enum admin_state admin;
	enum backend_health health;
};

/* DESIGN's sentence, word by word. */
static bool model_eligible(const struct model *all, int i, const struct pool_spec *spec)
{
	bool any_up = false;

	if (!all[i].present || all[i].admin != ADMIN_ENABLED || all[i].weight == 0)
		return false;
	for (int j = 0; j < MODEL_BACKENDS; j++) {
		if (all[j].present && all[j].admin == ADMIN_ENABLED && all[j].weight > 0 &&
		    (all[j].health == HEALTH_UP ||
		     (spec->start_up && all[j].health == HEALTH_UNKNOWN)))
			any_up = true;
	}
	if (!any_up)
		return spec->when_all_down == WHEN_ALL_DOWN_ALL;
	return all[i].health == HEALTH_UP || (spec->start_up && all[i].health == HEALTH_UNKNOWN);
}

static uint32_t draw(uint32_t *seed, uint32_t bound)
{
	*seed = *seed * 1664525 + 1013904223;
	return (*seed >> 8) % bound;
}

static void model_step(struct fixture *fixture, struct model *model, int i, uint32_t *seed)
{
	char text[ADDR_TEXT_LEN];
	char name[8];
	struct backend *backend;

	(void)snprintf(name, sizeof(name), "b%d", i);
	(void)snprintf(text, sizeof(text), "10.0.0.%d:80", i + 1);
	backend = pool_find(fixture->pool, name);
	assert_int_equal(backend != NULL, model->present);
	if (!backend) {
		add(fixture, text, name);
		*model = (struct model){.present = true, .weight = 1};
	} else if (draw(seed, 8) == 0) {
		pool_remove(fixture->pool, backend);
		model->present = false;
	} else if (draw(seed, 2) == 0) {
		model->health = draw(seed, 4) == 0 ? HEALTH_UP : HEALTH_DOWN;
		pool_mark(fixture->pool, backend, model->health, "word");
	} else {
		model->weight = draw(seed, 4);
		model->admin = (enum admin_state)(draw(seed, 3) == 0 ? draw(seed, 3) : 0);
		set(fixture, backend, model->weight, model->admin);
	}
}

static void check_model(struct fixture *fixture, const struct model *all)
{
	const struct view *view = pool_eligible(fixture->pool);
	uint32_t next = 0;

	for (int i = 0; i < MODEL_BACKENDS; i++) {
		char name[8];
		const struct backend *backend;

		(void)snprintf(name, sizeof(name), "b%d", i);
		backend = pool_find(fixture->pool, name);
		if (!model_eligible(all, i, pool_spec(fixture->pool))) {
			assert_true(!backend || !backend_eligible(fixture->pool, backend));
			continue;
		}
		assert_true(backend && backend_eligible(fixture->pool, backend));
		assert_true(next < view->count);
		assert_int_equal(view->members[next].id, backend->id);
		assert_int_equal(view->members[next].weight, all[i].weight);
		next++;
	}
	assert_int_equal(next, view->count);
}

static void any_sequence_of_changes_gives_what_the_rule_says(void **state)
{
	struct fixture *fixture = *state;
	struct model all[MODEL_BACKENDS] = {0};
	uint32_t seed = 42;
	uint32_t eligible_steps = 0;

	for (int step = 0; step < MODEL_STEPS; step++) {
		int i = (int)draw(&seed, MODEL_BACKENDS);
		struct view *before = view_get(pool_eligible(fixture->pool));
		struct view *draining = view_get(pool_draining(fixture->pool));
		int changes = fixture->changes;

		if (draw(&seed, 50) == 0) {
			struct pool_spec spec =
				spec_of(draw(&seed, 2), (enum when_all_down)draw(&seed, 2));

			pool_configure(fixture->pool, &spec);
		} else {
			model_step(fixture, &all[i], i, &seed);
		}
		check_model(fixture, all);
		assert_int_equal(fixture->changes - changes,
				 before != pool_eligible(fixture->pool) ||
					 draining != pool_draining(fixture->pool));
		view_put(draining);
		eligible_steps += pool_eligible(fixture->pool)->count > 0;
		view_put(before);
	}
	assert_in_range(eligible_steps, MODEL_STEPS / 10, MODEL_STEPS - 100);
}

static void words_and_values_agree(void **state)
{
	(void)state;
	assert_int_equal(strtable_value(&admin_names, SLICE("draining")), ADMIN_DRAINING);
	assert_int_equal(strtable_value(&when_all_down_names, SLICE("all")), WHEN_ALL_DOWN_ALL);
	assert_string_equal(strtable_name(&backend_health_names, HEALTH_DOWN), "down");
}

int main(void)
{
#define POOL_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	static const struct CMUnitTest tests[] = {
		POOL_TEST(a_backend_is_eligible_by_the_rule),
		POOL_TEST(when_all_down_gives_way_to_the_first_that_comes_up),
		POOL_TEST(a_view_is_sorted_by_address_then_port),
		POOL_TEST(on_change_is_called_when_there_is_a_new_view_and_never_else),
		POOL_TEST(a_kept_view_does_not_change_and_outlives_its_pool),
		POOL_TEST(what_cannot_be_added_is_refused_with_the_field),
		POOL_TEST(ids_survive_removal_and_are_tombstones_meanwhile),
		POOL_TEST(history_keeps_the_last_changes),
		POOL_TEST(open_connections_are_those_of_both_paths_and_never_below_zero),
		POOL_TEST(any_sequence_of_changes_gives_what_the_rule_says),
		POOL_TEST(words_and_values_agree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
