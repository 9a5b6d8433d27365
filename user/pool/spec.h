/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a pool and a backend should be, as plain values from configuration.
 *
 * For: config (fills them), daemon (compares them). Owns: nothing. Knows: base.
 */
#ifndef POOL_SPEC_H
#define POOL_SPEC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/strtable.h"

#define POOL_NAME_LEN	   64
#define BACKEND_MAX_WEIGHT 256
#define POOL_LEAST_TABLE   251 /* slots */

enum admin_state {
	ADMIN_ENABLED,
	ADMIN_DRAINING, /* no new connections, open ones stay, checks go on */
	ADMIN_DISABLED, /* the same, and checks stop */
};
extern const struct strtable admin_names;

enum when_all_down { WHEN_ALL_DOWN_REJECT, WHEN_ALL_DOWN_ALL };
extern const struct strtable when_all_down_names;

struct backend_spec {
	char name[POOL_NAME_LEN]; /* default: the address as text */
	struct addr addr;	  /* port 0: the service's (kernel path only) */
	uint32_t weight;	  /* 0..BACKEND_MAX_WEIGHT */
	enum admin_state admin;
};

struct pool_spec {
	char name[POOL_NAME_LEN];
	char algorithm[32]; /* a name that algorithm_exists() */
	bool start_up;	    /* start: up; unknown health is eligible */
	enum when_all_down when_all_down;
	uint32_t table_size; /* slots of maglev and source-hash; 0: as many as are right */
	struct backend_spec *backends; /* owned by the config */
	uint32_t n_backends;
};

#endif
