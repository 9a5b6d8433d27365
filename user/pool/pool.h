/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * ServerPool: a named set of backends, what the operator wants of each and what checks saw.
 *
 * For: membership, weights, administrative state, health, and the one decision what is eligible.
 * Owns: its backends and the current view. May know: base, include/lb, its registry.
 * Must never know: algorithms, checks, maps, sockets.
 * Only the control thread calls it.
 */
#ifndef POOL_POOL_H
#define POOL_POOL_H

#include "base/error.h"
#include "base/list.h"
#include "pool/registry.h"
#include "pool/spec.h"
#include "pool/view.h"

enum backend_health { HEALTH_UNKNOWN, HEALTH_UP, HEALTH_DOWN };
extern const struct strtable backend_health_names;

#define BACKEND_HISTORY 32

struct health_change {
	uint64_t at_wall_ms;
	enum backend_health from;
	enum backend_health to;
	const char *reason; /* a constant word: "connect_refused" */
};

struct backend {
	struct backend_spec spec;
	uint16_t id;
	struct lb_live *live;
	enum backend_health health;
	const char *health_reason;	 /* constant word */
	bool eligible;			 /* as pool decided it last; read backend_eligible */
	uint64_t ramp_since_ms;		 /* monotonic: slow start; 0: it has its weight */
	uint32_t ramp;			 /* 1..RAMP_STEPS */
	uint32_t effective_weight;	 /* as the view has it; of no meaning if not eligible */
	uint64_t draining_since_ms;	 /* monotonic */
	uint64_t changed_wall_ms;	 /* last change of health or administrative state */
	uint64_t eligible_since_wall_ms; /* ... of eligibility */
	struct health_change history[BACKEND_HISTORY]; /* ring */
	uint32_t n_history;			       /* changes ever */
	void *user;				       /* daemon: the backend's check */
	struct list node; /* in the pool, sorted by address, then name */
};

struct pool;

/*
 * <on_change>(ctx, pool) is called when the eligible backends, a weight among them or the number of
 * backends has changed: when there is a new view. It may read the pool, not change it.
 */
int pool_new(const struct pool_spec *spec, struct registry *registry, struct pool **ret_pool);
void pool_free(struct pool *pool);
void pool_on_change(struct pool *pool, void (*on_change)(void *ctx, struct pool *pool), void *ctx);

const struct pool_spec *pool_spec(const struct pool *pool); /* backends are not in it */
/* Everything of the pool but its backends and its name. A change of the algorithm alone makes no
 * new view: who builds balancers compares it. */
void pool_configure(struct pool *pool, const struct pool_spec *spec);

/* An empty name becomes the address. -EEXIST for a name or address that is there already, -ENOSPC
 * when ids ran out, -EINVAL for a weight above BACKEND_MAX_WEIGHT. */
int pool_add(struct pool *pool, const struct backend_spec *spec, struct backend **ret_backend,
	     struct error *err);
/* Weight and administrative state; the identity (name, address) is not changed by it. */
void pool_set(struct pool *pool, struct backend *backend, const struct backend_spec *spec);
void pool_remove(struct pool *pool, struct backend *backend); /* frees it; its id is a tombstone */
struct backend *pool_find(struct pool *pool, const char *name); /* NULL: none */

void pool_mark(struct pool *pool, struct backend *backend, enum backend_health health,
	       const char *reason); /* what checks saw; logs nothing */

/* All backends: list_for_each(node, pool_all(pool)) backend_of(node). */
struct list *pool_all(struct pool *pool);
struct backend *backend_of(struct list *node);
uint32_t pool_count(const struct pool *pool);
/* The eligible ones: the current view, borrowed until the next change (view_get to keep it). */
struct view *pool_eligible(struct pool *pool);
/* Those that are draining and healthy, likewise: for clients that belong to one of them. */
struct view *pool_draining(struct pool *pool);

/* From now on backends that become eligible start slowly, if the pool is configured so: not while
 * lbd itself starts. */
void pool_start_slowly(struct pool *pool);
/* How long until a weight may rise, 0: none will. pool_climb() makes the view of it. */
uint32_t pool_climb_in_ms(struct pool *pool);
void pool_climb(struct pool *pool);
bool backend_eligible(const struct pool *pool, const struct backend *backend);
/* Why it is not, in words ("draining", "weight is 0", "down: connect_refused"); "eligible". */
void backend_explain(const struct pool *pool, const struct backend *backend, char *text,
		     size_t size);

#endif
