/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The identity of backends: which id belongs to (pool, address, port), and its live row.
 *
 * For: ids that stay the same across reload and restart. Owns: the id table; the rows belong to
 * whoever gave them (the BPF map's memory, or calloc where there is no BPF).
 * May know: base, include/lb. Must never know: BPF.
 *
 * Ids are 1..LB_MAX_BACKENDS - 1. A removed backend's id is a tombstone for at least
 * REGISTRY_TOMBSTONE_MS, until its row says that nothing is open, and until no flow record names
 * it: those that count no more still lead packets by it. The same identity coming back takes the
 * same id again. A row is zeroed when its id goes to a new identity.
 */
#ifndef POOL_REGISTRY_H
#define POOL_REGISTRY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "lb/abi.h"

#define REGISTRY_TOMBSTONE_MS 120000
#define REGISTRY_AGAIN_MS     10000 /* until a tombstone that was named is looked at again */
#define REGISTRY_BITS_LEN     (LB_MAX_BACKENDS / 8)

struct registry;

/* <rows> has LB_MAX_BACKENDS entries and outlives the registry; NULL: the registry makes its own.
 */
int registry_new(struct lb_live *rows, struct registry **ret_registry);
void registry_free(struct registry *registry);
/* <mark> sets the bits of the ids that something else names; asked when an id is to be forgotten.
 */
void registry_ask(struct registry *registry, void (*mark)(void *ctx, uint8_t *bits), void *ctx);
/* Makes a known identity of what a previous daemon left in the maps: a tombstone until it is taken.
 * -EEXIST if the id or the identity is known already, -EINVAL for an id or a name that cannot be.
 */
int registry_adopt(struct registry *registry, uint16_t id, const char *pool,
		   const struct addr *addr);
/* The id of this identity, new if need be. -ENOSPC when all are taken. */
int registry_take(struct registry *registry, const char *pool, const struct addr *addr,
		  uint64_t now_ms, uint16_t *ret_id);
bool registry_knows(struct registry *registry, const char *pool, const struct addr *addr);
/* Could <n> identities that it does not know be taken now? */
bool registry_has_room(struct registry *registry, uint32_t n, uint64_t now_ms);
void registry_release(struct registry *registry, uint16_t id, uint64_t now_ms);
struct lb_live *registry_row(struct registry *registry, uint16_t id);
bool registry_is_tombstone(const struct registry *registry, uint16_t id);
/* Whose id this is or, for a tombstone, was: false for an id that nobody has. <ret_pool> is
 * borrowed until the id is given to another identity. */
bool registry_identity(const struct registry *registry, uint16_t id, const char **ret_pool,
		       struct addr *ret_addr);
/* Forgets the tombstones whose time is over and returns how many. Taking an id does so by itself
 * when it has to; the daemon calls it now and then, so that the maps forget too. */
uint32_t registry_sweep(struct registry *registry, uint64_t now_ms);

#endif
