/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The identity of backends: which id belongs to (pool, address, port), and its live row.
 *
 * For: ids that stay the same across reload and restart. Owns: the id table; the rows belong to
 * whoever gave them (the BPF map's memory, or calloc where there is no BPF).
 * May know: base, include/lb. Must never know: BPF.
 *
 * Ids are 1..LB_MAX_BACKENDS - 1. A removed backend's id is a tombstone for at least
 * REGISTRY_TOMBSTONE_MS, and until its row says that nothing is open; the same identity coming
 * back takes the same id again. A row is zeroed when its id goes to a new identity.
 */
#ifndef POOL_REGISTRY_H
#define POOL_REGISTRY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "lb/abi.h"

#define REGISTRY_TOMBSTONE_MS 120000

struct registry;

/* <rows> has LB_MAX_BACKENDS entries and outlives the registry; NULL: the registry makes its own.
 */
int registry_new(struct lb_live *rows, struct registry **ret_registry);
void registry_free(struct registry *registry);
/* Makes a known identity of what a previous daemon left in the maps; -EEXIST if the id is taken. */
int registry_adopt(struct registry *registry, uint16_t id, const char *pool,
		   const struct addr *addr);
/* The id of this identity, new if need be. -ENOSPC when all are taken. */
int registry_take(struct registry *registry, const char *pool, const struct addr *addr,
		  uint64_t now_ms, uint16_t *ret_id);
void registry_release(struct registry *registry, uint16_t id, uint64_t now_ms);
struct lb_live *registry_row(struct registry *registry, uint16_t id);
bool registry_is_tombstone(const struct registry *registry, uint16_t id);

#endif
