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
	uint16_t weight;	  /* effective, 1..BACKEND_MAX_WEIGHT */
	uint16_t ramp;		  /* 1..RAMP_STEPS of its own weight: slow start */
	uint64_t since_ms;	  /* monotonic: when it began to drain, if this is a view of such */
	uint32_t max_connections; /* of the proxy path; 0: any number */
	uint64_t token;		  /* backend_token() */
	struct addr addr;
	struct lb_live *live;
	char name[POOL_NAME_LEN];
};

struct view {
	atomic_uint refs;
	uint32_t count;
	uint32_t pool_size; /* backends of the pool, eligible or not: table sizes come from
			       it, so that a health change does not resize a table */
	struct view_member members[]; /* sorted by address, then port */
};

/* One reference; <count> zeroed members, for the maker to fill before anybody else sees it. */
int view_new(uint32_t count, uint32_t pool_size, struct view **ret_view);

/* What names a backend to the outside without showing it: the same at any time and in any lbd,
 * never 0. */
uint64_t backend_token(const char *pool, const char *backend);

struct view *view_get(struct view *view);
void view_put(struct view *view); /* NULL is fine */
/* The member of that id; NULL: there is none. */
const struct view_member *view_find(const struct view *view, uint16_t id);
/* opened - closed of both paths; never below 0. */
uint64_t live_open(const struct lb_live *live);
/* SYNs that the backend has neither answered nor refused yet; never below 0. */
uint64_t live_pending(const struct lb_live *live);

#endif
