/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Wanted state -> maps: compares and writes the difference, in an order that packets never see
 * half done.
 *
 * For: dataplane_sync. Owns: the slot arena and a copy of what lb_services holds.
 * May know: base, include/lb. Must never know: libbpf; it works through map_ops.
 *
 * The arrays are compared with the memory itself, so nothing that was written once is trusted to
 * still be there, and a sync after a crash or a failed write mends what is missing.
 */
#ifndef DATAPLANE_SYNC_H
#define DATAPLANE_SYNC_H

#include "base/error.h"
#include "dataplane/arena.h"
#include "dataplane/keyed.h"
#include "dataplane/map_ops.h"
#include "dataplane/wanted.h"

/* Sources of tunnels asked for in one step, so that the control thread is not held up. */
#define SYNC_SOURCE_STEP 1024

enum sync_tunnel {
	SYNC_NO_TUNNEL,
	SYNC_TUNNEL,	      /* packets to the backend go by a tunnel */
	SYNC_TUNNEL_ELIGIBLE, /* ... and it is to be eligible, once a source is known */
};

/* A CPU that read the old table word is done with the old region by then. */
#define SYNC_RETIRE_MS 100

struct service_entry {
	struct lb_service_key key;
	struct lb_service value;
};

struct prefix_entry {
	struct lb_prefix_key key;
	uint32_t value; /* enum lb_prefix */
};

struct sync {
	const struct map_ops *ops;
	void *ctx;
	struct map_view view;
	struct arena arena;
	bool loaded;			  /* arena and services say what the maps hold */
	uint32_t backends_top;		  /* no backend at or above this id is in the map */
	struct keyed services;		  /* struct service_entry */
	struct keyed prefixes;		  /* struct prefix_entry */
	uint8_t tunnels[LB_MAX_BACKENDS]; /* enum sync_tunnel, by id */
	uint32_t source_next;		  /* the id to ask a source for; 0: all were asked */
	uint32_t tick_ns;		  /* of the kernel's clock, in which rates are written */
};

void sync_init(struct sync *sync, const struct map_ops *ops, void *ctx,
	       const struct map_view *view);
void sync_fini(struct sync *sync);
/* -EINVAL before anything is written when <wanted> contradicts itself; another error may leave a
 * part written, which the next call completes. */
int sync_write(struct sync *sync, const struct wanted *wanted, struct error *err);

/*
 * Our addresses or routes may have changed: sources of tunnels are asked again, some with each
 * step; with <missing_only> those that are not known.
 */
void sync_sources_changed(struct sync *sync);
int sync_sources_step(struct sync *sync, bool missing_only);
/* Notes that the backend shall be eligible or not; false: it cannot be yet. */
bool sync_source_allows(struct sync *sync, uint16_t id, bool eligible);

/* The seed of a pool's flow hash: a function of its name alone, so that two lbds agree. */
uint64_t sync_pool_seed(const char *name);

#endif
