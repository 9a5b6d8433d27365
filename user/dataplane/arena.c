/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "dataplane/arena.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Room for this many regions at first; doubled when full. */
#define FIRST_CAPACITY 16

static uint32_t whole_lines(uint32_t size)
{
	return (size + ARENA_LINE - 1) & ~(uint32_t)(ARENA_LINE - 1);
}

void arena_init(struct arena *arena, uint32_t size)
{
	*arena = (struct arena){.size = size};
}

void arena_fini(struct arena *arena)
{
	if (!arena)
		return;
	free(arena->regions);
	*arena = (struct arena){0};
}

/* The first region that does not end before <offset>; <count> if there is none. */
static uint32_t position(const struct arena *arena, uint32_t offset)
{
	uint32_t low = 0;
	uint32_t high = arena->count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		const struct arena_region *region = &arena->regions[middle];

		if (region->offset + region->size <= offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int insert(struct arena *arena, uint32_t at, uint32_t offset, uint32_t size)
{
	struct arena_region *regions = arena->regions;

	if (arena->count == arena->capacity) {
		uint32_t capacity = arena->capacity ? arena->capacity * 2 : FIRST_CAPACITY;

		regions = realloc(regions, capacity * sizeof(*regions));
		if (!regions)
			return -ENOMEM;
		arena->regions = regions;
		arena->capacity = capacity;
	}
	memmove(&regions[at + 1], &regions[at], (arena->count - at) * sizeof(*regions));
	regions[at] = (struct arena_region){.offset = offset, .size = size};
	arena->count++;
	return 0;
}

int arena_reserve(struct arena *arena, uint32_t offset, uint32_t size)
{
	uint32_t at;

	if (size == 0 || size > arena->size || offset % ARENA_LINE)
		return -ERANGE;
	size = whole_lines(size);
	if (offset > arena->size - size)
		return -ERANGE;
	at = position(arena, offset);
	if (at < arena->count && arena->regions[at].offset < offset + size)
		return -EEXIST;
	return insert(arena, at, offset, size);
}

static void reap(struct arena *arena, uint64_t now_ms)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < arena->count; i++) {
		const struct arena_region *region = &arena->regions[i];

		if (region->free_at_ms == 0 || region->free_at_ms > now_ms)
			arena->regions[kept++] = *region;
	}
	arena->count = kept;
}

int arena_alloc(struct arena *arena, uint32_t size, uint64_t now_ms, uint32_t *ret_offset)
{
	uint32_t offset = 0;
	uint32_t at = 0;
	int rc;

	if (size == 0 || size > arena->size)
		return -ENOSPC;
	size = whole_lines(size);
	reap(arena, now_ms);
	while (at < arena->count && arena->regions[at].offset - offset < size) {
		offset = arena->regions[at].offset + arena->regions[at].size;
		at++;
	}
	if (arena->size - offset < size)
		return -ENOSPC;
	rc = insert(arena, at, offset, size);
	if (rc == 0)
		*ret_offset = offset;
	return rc;
}

void arena_retire(struct arena *arena, uint32_t offset, uint64_t free_at_ms)
{
	uint32_t at = position(arena, offset);

	if (at < arena->count && arena->regions[at].offset == offset &&
	    arena->regions[at].free_at_ms == 0)
		arena->regions[at].free_at_ms = free_at_ms ? free_at_ms : 1;
}

bool arena_has(const struct arena *arena, uint32_t offset, uint32_t size)
{
	uint32_t at = position(arena, offset);

	return at < arena->count && arena->regions[at].offset == offset &&
	       arena->regions[at].free_at_ms == 0 && arena->regions[at].size >= size;
}

uint32_t arena_wait_ms(const struct arena *arena, uint64_t now_ms)
{
	uint64_t first = UINT64_MAX;

	for (uint32_t i = 0; i < arena->count; i++) {
		uint64_t at = arena->regions[i].free_at_ms;

		if (at != 0 && at < first)
			first = at;
	}
	if (first == UINT64_MAX)
		return 0;
	return first > now_ms ? (uint32_t)(first - now_ms) : 1;
}
