/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the kernel should be doing: plain values, ids already given.
 *
 * For: daemon/project.c makes it, dataplane compares it with the maps and writes the difference.
 * Owns: the arrays (wanted_fini). May know: base, include/lb. Must never know: pools, algorithms.
 */
#ifndef DATAPLANE_WANTED_H
#define DATAPLANE_WANTED_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/prefix.h"
#include "lb/abi.h"

struct wanted_snat {
	uint8_t ip[16]; /* mapped if IPv4 */
	uint16_t first_port;
	uint16_t n_ports;
};

struct wanted_service {
	uint32_t id; /* one service has the same id at each of its addresses */
	struct addr listen;
	uint8_t proto;	 /* enum lb_proto */
	uint8_t forward; /* enum lb_forward */
	uint32_t pool;
	uint32_t flags;		  /* LB_SERVICE_* */
	struct wanted_snat *snat; /* source addresses; owned */
	uint32_t n_snat;
	uint32_t rate_new; /* new flows a source may open in rate_ms; 0: any number */
	uint32_t rate_ms;
	uint8_t rate_bits4; /* sources that share a limit: prefix lengths */
	uint8_t rate_bits6;
	char name[LB_NAME_LEN];
};

struct wanted_pool {
	uint32_t id;
	enum lb_choice choice;
	bool client_only;
	uint16_t *slots; /* backend ids; owned */
	uint32_t n_slots;
	char name[LB_NAME_LEN];
};

struct wanted_backend {
	uint16_t id;
	struct addr addr;
	uint32_t pool;
	uint32_t weight;
	bool eligible;
	bool tombstone; /* removed; flows may still name it */
	bool tunnel;	/* a service of its pool forwards by ipip or gue */
	char name[LB_NAME_LEN];
};

struct wanted_prefix {
	uint32_t service; /* id */
	struct prefix prefix;
	bool deny;
};

struct wanted {
	struct wanted_service *services;
	uint32_t n_services;
	struct wanted_pool *pools;
	uint32_t n_pools;
	struct wanted_backend *backends;
	uint32_t n_backends;
	struct wanted_prefix *prefixes; /* no two of a service are equal */
	uint32_t n_prefixes;
	uint32_t timeout_ms[LB_FLOW_STATES]; /* of idle flows; 0: the default */
};

void wanted_fini(struct wanted *wanted); /* zeroed memory is fine */

#endif
