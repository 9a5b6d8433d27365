/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which parts of lb_slots are in use: regions for the pools' tables.
 *
 * For: sync, which writes a table into a free region and retires the old one.
 * Owns: its list of regions, sorted by offset. Pure: no map, no clock.
 * Must never know: what is in the slots.
 *
 * Offsets and sizes count slots. A region covers whole lines of ARENA_LINE slots, so that two
 * tables never share a line. A retired region is not handed out before its time, because a CPU
 * that read the old table word may still be looking into it.
 */
#ifndef DATAPLANE_ARENA_H
#define DATAPLANE_ARENA_H

#include <stdbool.h>
#include <stdint.h>

#define ARENA_LINE 4

struct arena_region {
	uint32_t offset;
	uint32_t size;
	uint64_t free_at_ms; /* 0: in use; else retired, free from then on */
};

struct arena {
	struct arena_region *regions;
	uint32_t count;
	uint32_t capacity;
	uint32_t size;
};

void arena_init(struct arena *arena, uint32_t size); /* <size> is a multiple of ARENA_LINE */
void arena_fini(struct arena *arena);

/* Marks what is in use already: -ERANGE outside the arena or not on a line, -EEXIST overlap. */
int arena_reserve(struct arena *arena, uint32_t offset, uint32_t size);
/* -ENOSPC when no gap is large enough now. */
int arena_alloc(struct arena *arena, uint32_t size, uint64_t now_ms, uint32_t *ret_offset);
/* The region at <offset> may be handed out again from <free_at_ms> on; no region: nothing. */
void arena_retire(struct arena *arena, uint32_t offset, uint64_t free_at_ms);
/* A region in use begins at <offset> and holds <size> slots. */
bool arena_has(const struct arena *arena, uint32_t offset, uint32_t size);
/* How long until the first retired region is free; 0: none is waiting. */
uint32_t arena_wait_ms(const struct arena *arena, uint64_t now_ms);

#endif
