/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/arena.h"

#define SIZE   4096
#define RETIRE 100
#define TABLES 48

/* What a region may be used for, seen from outside: one byte per slot. */
struct model {
	uint8_t used[SIZE];	   /* by a table */
	uint64_t free_at_ms[SIZE]; /* retired until then */
	uint32_t offset[TABLES];
	uint32_t size[TABLES]; /* 0: no table */
};

static uint32_t state = 12345;

/* A fixed sequence (Numerical Recipes' LCG), so that a failure can be repeated. */
static uint32_t draw(uint32_t bound)
{
	state = state * 1664525U + 1013904223U;
	return (state >> 8) % bound;
}

static void take(struct model *model, uint32_t table, uint32_t offset, uint32_t size,
		 uint64_t now_ms)
{
	assert_int_equal(offset % ARENA_LINE, 0);
	assert_true(offset + size <= SIZE);
	for (uint32_t i = offset; i < offset + size; i++) {
		assert_false(model->used[i]);
		assert_true(model->free_at_ms[i] <= now_ms);
		model->used[i] = 1;
	}
	model->offset[table] = offset;
	model->size[table] = size;
}

static void give(struct model *model, uint32_t table, uint64_t free_at_ms)
{
	for (uint32_t i = 0; i < model->size[table]; i++) {
		model->used[model->offset[table] + i] = 0;
		model->free_at_ms[model->offset[table] + i] = free_at_ms;
	}
	model->size[table] = 0;
}

static void regions_never_overlap_and_rest_until_their_time(void **unused)
{
	static struct model model;
	struct arena arena;
	uint64_t now_ms = 1000;
	uint32_t allocated = 0;

	(void)unused;
	arena_init(&arena, SIZE);
	for (int step = 0; step < 20000; step++) {
		uint32_t table = draw(TABLES);
		uint32_t size = 1 + draw(200);
		uint32_t offset;

		now_ms += draw(10);
		if (model.size[table]) {
			assert_true(arena_has(&arena, model.offset[table], model.size[table]));
			arena_retire(&arena, model.offset[table], now_ms + RETIRE);
			assert_false(arena_has(&arena, model.offset[table], 1));
			give(&model, table, now_ms + RETIRE);
		} else if (arena_alloc(&arena, size, now_ms, &offset) == 0) {
			take(&model, table, offset, size, now_ms);
			allocated++;
		}
	}
	assert_true(allocated > 1000);
	for (uint32_t table = 0; table < TABLES; table++) {
		if (model.size[table])
			arena_retire(&arena, model.offset[table], now_ms);
	}
	uint32_t whole;

	assert_int_equal(arena_alloc(&arena, SIZE, now_ms + RETIRE, &whole), 0);
	assert_int_equal(whole, 0);
	arena_fini(&arena);
}

static void what_is_in_use_already_can_be_reserved_once(void **unused)
{
	static const struct {
		uint32_t offset, size;
		int rc;
	} rows[] = {
		{0, 8, 0},
		{16, 5, 0},
		{8, 8, 0},
		{20, 4, -EEXIST},
		{4, 2, -EEXIST},
		{2, 2, -ERANGE},
		{SIZE - 4, 4, 0},
		{SIZE - 4, 5, -ERANGE},
		{SIZE, 4, -ERANGE},
		{0, 0, -ERANGE},
		{0, SIZE + 1, -ERANGE},
		{4294967292U, 8, -ERANGE},
		{0, UINT32_MAX, -ERANGE},
	};
	struct arena arena;

	(void)unused;
	arena_init(&arena, SIZE);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		assert_int_equal(arena_reserve(&arena, rows[i].offset, rows[i].size), rows[i].rc);
	arena_fini(&arena);
}

static void a_full_arena_says_how_long_to_wait(void **unused)
{
	struct arena arena;
	uint32_t first = 99;
	uint32_t second = 99;
	uint32_t again = 99;

	(void)unused;
	arena_init(&arena, 16);
	assert_int_equal(arena_wait_ms(&arena, 5), 0);
	assert_int_equal(arena_alloc(&arena, 8, 5, &first), 0);
	assert_int_equal(arena_alloc(&arena, 7, 5, &second), 0);
	assert_int_equal(arena_alloc(&arena, 1, 5, &again), -ENOSPC);
	assert_int_equal(again, 99);
	arena_retire(&arena, first, 105);
	assert_int_equal(arena_wait_ms(&arena, 35), 70);
	assert_int_equal(arena_alloc(&arena, 8, 104, &again), -ENOSPC);
	assert_int_equal(arena_alloc(&arena, 8, 105, &again), 0);
	assert_int_equal(again, first);
	arena_fini(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(regions_never_overlap_and_rest_until_their_time),
		cmocka_unit_test(what_is_in_use_already_can_be_reserved_once),
		cmocka_unit_test(a_full_arena_says_how_long_to_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
