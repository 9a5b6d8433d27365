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

/* Only pools that a kernel-path service names are in the result. 0 or -ENOMEM. */
int project(const struct project *in, struct wanted *ret_wanted);

#endif
