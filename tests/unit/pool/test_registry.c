/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pool/registry.h"
#include "pool/view.h"

static struct addr addr_at(const char *text)
{
	struct addr addr;

	assert_null(addr_parse(slice_of(text), true, &addr));
	return addr;
}

static struct addr addr_number(uint32_t i)
{
	struct addr addr = addr_at("10.0.0.0:80");

	addr.ip[13] = (uint8_t)(i >> 16);
	addr.ip[14] = (uint8_t)(i >> 8);
	addr.ip[15] = (uint8_t)i;
	return addr;
}

static uint16_t take(struct registry *registry, const char *pool, const char *text, uint64_t now_ms)
{
	struct addr addr = addr_at(text);
	uint16_t id = 0;

	assert_int_equal(registry_take(registry, pool, &addr, now_ms, &id), 0);
	assert_int_not_equal(id, 0);
	return id;
}

static int setup(void **state)
{
	return registry_new(NULL, (struct registry **)state);
}

static int teardown(void **state)
{
	registry_free(*state);
	return 0;
}

static void an_identity_is_pool_address_and_port(void **state)
{
	uint16_t id = take(*state, "web", "10.0.0.1:80", 0);

	assert_int_equal(take(*state, "web", "10.0.0.1:80", 0), id);
	assert_int_not_equal(take(*state, "api", "10.0.0.1:80", 0), id);
	assert_int_not_equal(take(*state, "web", "10.0.0.1:81", 0), id);
	assert_int_not_equal(take(*state, "web", "10.0.0.2:80", 0), id);
}

static void a_removed_identity_comes_back_with_its_id_and_its_counts(void **state)
{
	uint16_t id = take(*state, "web", "10.0.0.1:80", 0);

	registry_row(*state, id)->opened = 7;
	registry_release(*state, id, 0);
	assert_true(registry_is_tombstone(*state, id));
	assert_int_not_equal(take(*state, "web", "10.0.0.2:80", 1), id);
	assert_int_equal(take(*state, "web", "10.0.0.1:80", 2), id);
	assert_false(registry_is_tombstone(*state, id));
	assert_int_equal(registry_row(*state, id)->opened, 7);
}

static void a_tombstone_lasts_until_its_time_is_over_and_nothing_is_open(void **state)
{
	static const struct {
		struct lb_live row;
		uint64_t after_ms;
		bool forgotten;
	} cases[] = {
		{{0}, REGISTRY_TOMBSTONE_MS - 1, false},
		{{0}, REGISTRY_TOMBSTONE_MS, true},
		{{.opened = 3, .closed = 2}, REGISTRY_TOMBSTONE_MS, false},
		{{.opened = 3, .closed = 3}, REGISTRY_TOMBSTONE_MS, true},
		{{.proxy_opened = 1}, 10ULL * REGISTRY_TOMBSTONE_MS, false},
		{{.pending_in = 5, .pending_out = 4}, REGISTRY_TOMBSTONE_MS, false},
		{{.pending_in = 5, .pending_out = 5}, REGISTRY_TOMBSTONE_MS, true},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint16_t id = take(*state, "web", "10.0.0.1:80", 0);

		*registry_row(*state, id) = cases[i].row;
		registry_release(*state, id, 1000);
		assert_int_equal(registry_sweep(*state, 1000 + cases[i].after_ms),
				 cases[i].forgotten);
		assert_int_equal(registry_is_tombstone(*state, id), !cases[i].forgotten);
	}
}

static void mark(void *ctx, uint8_t *bits)
{
	uint16_t id = *(uint16_t *)ctx;

	bits[id / 8] |= (uint8_t)(1U << id % 8);
}

static void a_tombstone_that_is_named_is_not_forgotten(void **state)
{
	const uint64_t over = REGISTRY_TOMBSTONE_MS;
	uint16_t named = take(*state, "web", "10.0.0.1:80", 0);
	uint16_t other = take(*state, "web", "10.0.0.2:80", 0);
	uint16_t nobody = 0;

	registry_release(*state, named, 0);
	registry_release(*state, other, 0);
	registry_ask(*state, mark, &named);
	assert_int_equal(registry_sweep(*state, over), 1);
	assert_true(registry_is_tombstone(*state, named));
	assert_int_equal(take(*state, "web", "10.0.0.3:80", over), other);
	registry_ask(*state, mark, &nobody);
	assert_int_equal(registry_sweep(*state, over + REGISTRY_AGAIN_MS - 1), 0);
	assert_int_equal(registry_sweep(*state, over + REGISTRY_AGAIN_MS), 1);
	assert_false(registry_is_tombstone(*state, named));
}

static void an_id_given_to_another_identity_starts_with_a_zeroed_row(void **state)
{
	uint16_t id = take(*state, "web", "10.0.0.1:80", 0);
	struct lb_live *row = registry_row(*state, id);

	row->opened = row->closed = 9;
	row->latency_us = 100;
	registry_release(*state, id, 0);
	assert_int_equal(registry_sweep(*state, REGISTRY_TOMBSTONE_MS), 1);
	assert_int_equal(take(*state, "api", "10.0.0.9:80", REGISTRY_TOMBSTONE_MS), id);
	assert_int_equal(row->opened, 0);
	assert_int_equal(row->latency_us, 0);
}

static void an_adopted_id_is_a_tombstone_until_it_is_taken(void **state)
{
	struct addr one = addr_at("10.0.0.1:80");
	struct addr two = addr_at("[fd00::2]:80");
	struct addr found;
	const char *pool;

	assert_int_equal(registry_adopt(*state, 77, "web", &one), 0);
	registry_row(*state, 77)->opened = 5;
	assert_int_equal(registry_adopt(*state, 77, "web", &two), -EEXIST);
	assert_int_equal(registry_adopt(*state, 78, "web", &one), -EEXIST);
	assert_int_equal(registry_adopt(*state, 0, "web", &two), -EINVAL);
	assert_int_equal(registry_adopt(*state, 79, "web", &two), 0);
	assert_true(registry_is_tombstone(*state, 77));

	assert_int_equal(take(*state, "web", "10.0.0.1:80", 0), 77);
	assert_false(registry_is_tombstone(*state, 77));
	assert_int_equal(registry_row(*state, 77)->opened, 5);
	assert_true(registry_identity(*state, 79, &pool, &found));
	assert_string_equal(pool, "web");
	assert_true(addr_equal(&found, &two));
	assert_false(registry_identity(*state, 80, &pool, &found));
}

static void an_adopted_id_that_nobody_takes_is_forgotten_in_time(void **state)
{
	struct addr addr = addr_at("10.0.0.1:80");
	uint64_t start_ms = 5000;

	assert_int_equal(registry_adopt(*state, 1, "web", &addr), 0);
	assert_int_equal(take(*state, "web", "10.0.0.2:80", start_ms), 2);
	assert_int_equal(registry_sweep(*state, start_ms), 0);
	assert_int_equal(registry_sweep(*state, start_ms + REGISTRY_TOMBSTONE_MS - 1), 0);
	assert_int_equal(registry_sweep(*state, start_ms + REGISTRY_TOMBSTONE_MS), 1);
	assert_int_equal(take(*state, "web", "10.0.0.3:80", 0), 1);
}

static void a_pool_name_that_is_too_long_is_refused(void **state)
{
	struct addr addr = addr_at("10.0.0.1:80");
	char name[POOL_NAME_LEN + 1];
	uint16_t id = 9;

	memset(name, 'x', sizeof(name));
	name[POOL_NAME_LEN] = '\0';
	assert_int_equal(registry_take(*state, name, &addr, 0, &id), -EINVAL);
	assert_int_equal(registry_adopt(*state, 1, name, &addr), -EINVAL);
	assert_int_equal(id, 9);
	name[POOL_NAME_LEN - 1] = '\0';
	assert_int_equal(registry_take(*state, name, &addr, 0, &id), 0);
	assert_int_equal(id, 1);
}

static void every_id_can_be_had_and_then_only_old_tombstones(void **state)
{
	struct registry *registry = *state;
	struct addr addr;
	uint16_t id;

	for (uint32_t i = 1; i < LB_MAX_BACKENDS; i++) {
		addr = addr_number(i);
		assert_int_equal(registry_take(registry, "web", &addr, 0, &id), 0);
		assert_int_equal(id, i);
	}
	addr = addr_number(LB_MAX_BACKENDS);
	assert_int_equal(registry_take(registry, "web", &addr, 0, &id), -ENOSPC);
	registry_release(registry, 500, 0);
	registry_release(registry, 400, 1000);
	assert_int_equal(registry_take(registry, "web", &addr, 1000, &id), -ENOSPC);
	assert_int_equal(registry_take(registry, "web", &addr, REGISTRY_TOMBSTONE_MS, &id), 0);
	assert_int_equal(id, 500);
	addr = addr_number(LB_MAX_BACKENDS + 1);
	assert_int_equal(registry_take(registry, "web", &addr, REGISTRY_TOMBSTONE_MS, &id),
			 -ENOSPC);
}

/* Random takes, releases, sweeps against what the header promises. */
static void ids_are_never_shared_and_identities_never_split(void **state)
{
	enum { IDENTITIES = 200, STEPS = 20000 };
	uint16_t id_of[IDENTITIES] = {0}; /* 0: not taken */
	uint32_t seed = 1;
	uint64_t now_ms = 0;

	for (int step = 0; step < STEPS; step++) {
		uint32_t i = (seed = seed * 1664525 + 1013904223) >> 8;
		struct addr addr = addr_number(i %= IDENTITIES);

		now_ms += seed % 5000;
		if (id_of[i]) {
			registry_release(*state, id_of[i], now_ms);
			id_of[i] = 0;
		} else {
			assert_int_equal(registry_take(*state, "p", &addr, now_ms, &id_of[i]), 0);
		}
		if (step % 64 == 0)
			registry_sweep(*state, now_ms);
		for (uint32_t j = 0; j < IDENTITIES; j++)
			assert_true(j == i || id_of[j] == 0 || id_of[j] != id_of[i]);
	}
}

static void what_room_there_is_can_be_asked_before_it_is_needed(void **state)
{
	struct addr addr = addr_at("10.0.0.1:80");
	uint16_t id = take(*state, "web", "10.0.0.1:80", 0);

	assert_true(registry_knows(*state, "web", &addr));
	assert_false(registry_knows(*state, "api", &addr));
	assert_true(registry_has_room(*state, LB_MAX_BACKENDS - 2, 0));
	assert_false(registry_has_room(*state, LB_MAX_BACKENDS - 1, 0));
	registry_release(*state, id, 0);
	assert_false(registry_has_room(*state, LB_MAX_BACKENDS - 1, REGISTRY_TOMBSTONE_MS - 1));
	assert_true(registry_knows(*state, "web", &addr));
	assert_true(registry_has_room(*state, LB_MAX_BACKENDS - 1, REGISTRY_TOMBSTONE_MS));
	assert_false(registry_knows(*state, "web", &addr));
}

int main(void)
{
#define REGISTRY_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	static const struct CMUnitTest tests[] = {
		REGISTRY_TEST(an_identity_is_pool_address_and_port),
		REGISTRY_TEST(a_removed_identity_comes_back_with_its_id_and_its_counts),
		REGISTRY_TEST(a_tombstone_lasts_until_its_time_is_over_and_nothing_is_open),
		REGISTRY_TEST(a_tombstone_that_is_named_is_not_forgotten),
		REGISTRY_TEST(an_id_given_to_another_identity_starts_with_a_zeroed_row),
		REGISTRY_TEST(an_adopted_id_is_a_tombstone_until_it_is_taken),
		REGISTRY_TEST(an_adopted_id_that_nobody_takes_is_forgotten_in_time),
		REGISTRY_TEST(a_pool_name_that_is_too_long_is_refused),
		REGISTRY_TEST(every_id_can_be_had_and_then_only_old_tombstones),
		REGISTRY_TEST(what_room_there_is_can_be_asked_before_it_is_needed),
		REGISTRY_TEST(ids_are_never_shared_and_identities_never_split),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
