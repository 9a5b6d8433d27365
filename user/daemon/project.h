/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One pure function: what the pools say -> what the kernel should be doing.
 *
 * For: refresh, and its unit test without a kernel. Owns: nothing; the result is the caller's.
 * May know: config, pool, algorithm, dataplane/wanted.h. Must never know: maps, loops.
 */
#ifndef DAEMON_PROJECT_H
#define DAEMON_PROJECT_H

#include "algorithm/balancer.h"
#include "config/config.h"
#include "daemon/ids.h"
#include "dataplane/wanted.h"
#include "pool/pool.h"

struct project_pool {
	uint32_t id;
	struct pool *pool;
	const struct balancer *balancer; /* over the pool's current view */
};

struct project {
	const struct config *config;
	const struct project_pool *pools;
	uint32_t n_pools;
	struct ids *service_ids;
	struct list *tombstones; /* struct tombstone */
};

/*
 * By how many steps hash tables of pools without table-size are made smaller (table_size()), so
 * that all find room in lb_slots. A function of the configuration alone, so that two lbds agree.
 */
uint32_t project_table_steps(const struct config *config);
/* Slots of a pool's table then; 0 lets the algorithm choose. */
uint32_t project_table_size(const struct pool_spec *spec, uint32_t members, uint32_t steps);

/* Only pools that a kernel-path service names are in the result. 0 or -ENOMEM. */
int project(const struct project *in, struct wanted *ret_wanted);

#endif
