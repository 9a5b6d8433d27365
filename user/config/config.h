/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * LoadBalancerConfig: everything the daemon should do, checked and complete with defaults.
 *
 * For: one key table from document to the rooms' spec structs. Owns: all specs it holds.
 * May know: base and the other rooms' spec.h. Must never know: what anybody does with a spec.
 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include "algorithm/spec.h"
#include "base/log.h"
#include "config/doc.h"
#include "config/report.h"
#include "dataplane/spec.h"
#include "health/spec.h"
#include "pool/spec.h"
#include "proxy/spec.h"

struct config_pool {
	struct pool_spec pool;
	struct health_spec health;
};

struct config {
	unsigned refs; /* of the control thread, which alone counts */
	struct interface_spec *interfaces;
	uint32_t n_interfaces;
	uint32_t workers;	  /* default: CPUs, at most 64 */
	char pin_path[256];	  /* default /sys/fs/bpf/lbd */
	char state_path[256];	  /* default /var/lib/lbd/state */
	char socket[108];	  /* default /run/lbd/lbd.sock */
	uint32_t max_flows;	  /* limits.flows, default LB_DEFAULT_FLOWS */
	uint32_t max_connections; /* limits.connections of clients, proxy path; 0: any number */
	enum log_level log_level;
	struct config_pool *pools;
	uint32_t n_pools;
	struct service_spec *services;
	uint32_t n_services;
};

/*
 * Checks the whole tree and reports every mistake: unknown keys ("did you mean"), types, ranges,
 * duplicate names, missing pools, overlapping listeners, refused combinations. NULL when there was
 * any.
 */
struct config *config_build(const struct doc *doc, struct report *report);
struct config *config_get(struct config *config); /* one more reference */
void config_free(struct config *config);	  /* drops one; NULL is fine */
const struct config_pool *config_find_pool(const struct config *config, const char *name);
const struct service_spec *config_find_service(const struct config *config, const char *name);
bool config_has_kernel_service(const struct config *config);

#endif
