/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The eligible backends of a pool at one moment: a dense, immutable array.
 *
 * For: algorithms and proxy workers, who never judge eligibility themselves.
 * Owns: the array; counted references, because snapshots of several epochs share one.
 * May know: base, include/lb. The live rows outlive every view.
 */
#ifndef POOL_VIEW_H
#define POOL_VIEW_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/addr.h"
#include "lb/abi.h"
#include "pool/spec.h"

struct view_member {
	uint16_t id;
	uint16_t weight; /* effective, 1..BACKEND_MAX_WEIGHT */
	struct addr addr;
	struct lb_live *live;
	char name[POOL_NAME_LEN];
};

struct view {
	atomic_uint refs;
	uint32_t count;
	struct view_member members[]; /* sorted by address, then port */
};

struct view *view_get(struct view *view);
void view_put(struct view *view); /* NULL is fine */
/* opened - closed of both paths; never below 0. */
uint64_t live_open(const struct lb_live *live);

#endif
