/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A pool of the configuration with all that belongs to it at run time.
 *
 * For: keeping a pool, its checks and its balancer together. Owns: these three.
 * May know: pool, algorithm, health, config.
 */
#ifndef DAEMON_ENTRY_H
#define DAEMON_ENTRY_H

#include "algorithm/balancer.h"
#include "daemon/load_balancer.h"
#include "daemon/passive.h"
#include "health/health.h"

/* Counted, because snapshots of several epochs share one; only the control thread counts. */
struct shared_balancer {
	struct balancer *balancer;
	struct view *draining;
	unsigned refs;
};

struct pool_entry {
	struct list node; /* load_balancer.pools */
	struct load_balancer *lb;
	uint32_t id;
	struct pool *pool;
	struct health_spec health;
	struct shared_balancer *shared; /* of the current view */
	uint32_t table_size;		/* that <shared> was made for */
	bool stale;			/* the view changed, <shared> is of the one before */
};

/* What backend->user points to. */
struct backend_check {
	struct pool_entry *entry;
	struct backend *backend;
	struct health_check *check; /* NULL: type none, or disabled */
	struct health_info last;    /* of the check that ended last */
	struct passive passive;
	bool fell; /* it went down, see on_down.h */
};

struct tombstone {
	struct list node; /* load_balancer.tombstones */
	uint16_t id;
	uint32_t pool;
	struct addr addr;
	char name[POOL_NAME_LEN];
};

struct pool_entry *entry_of(struct list *node);
struct pool_entry *entry_find(struct load_balancer *lb, const char *name); /* NULL: none */
/* Makes the entry like <spec>: creates, changes, adds and removes backends. 0 or -errno. */
int entry_apply(struct load_balancer *lb, const struct config_pool *spec, struct error *err);
void entry_free(struct pool_entry *entry); /* removes its backends too */
/* A balancer over the current view, if that or the size of its table changed since. <steps>:
 * project_table_steps(). */
int entry_rebalance(struct pool_entry *entry, uint32_t steps);
/* No check probes until it is resumed; what checks saw is kept. */
void entry_pause(struct pool_entry *entry);
void entry_resume(struct pool_entry *entry);
bool entry_known(struct pool_entry *entry); /* every checked backend had a result */

/* Marks, logs and tells of it. */
void entry_mark(struct backend_check *check, enum backend_health health, const char *why);

void shared_balancer_put(struct shared_balancer *shared); /* NULL is fine */

#endif
