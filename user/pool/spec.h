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

#define POOL_MAX_CONNECTIONS   1000000
#define POOL_MAX_QUEUE	       1000000
#define POOL_MAX_SLOW_START_MS 3600000
#define POOL_MAX_RETRIES       10

enum admin_state {
	ADMIN_ENABLED,
	ADMIN_DRAINING, /* no new connections, open ones stay, checks go on */
	ADMIN_DISABLED, /* the same, and checks stop */
};
extern const struct strtable admin_names;

enum when_all_down { WHEN_ALL_DOWN_REJECT, WHEN_ALL_DOWN_ALL };
extern const struct strtable when_all_down_names;

/* What of a backend that goes down: flows of the kernel path, connections and requests. */
enum on_down {
	ON_DOWN_KEEP,  /* they end by themselves */
	ON_DOWN_RESET, /* they are ended, so that clients come again */
};
extern const struct strtable on_down_names;

/* What of an upstream may be tried again, see retry_spec. */
enum retry_on {
	RETRY_CONNECT, /* the connection was refused, timed out or unreachable */
	RETRY_CLOSED,  /* it was closed or reset before a response began */
	RETRY_TIMEOUT, /* no response began in time */
	RETRY_502,     /* the backend answered so */
	RETRY_503,
	RETRY_504,
};
extern const struct strtable retry_on_names;

struct backend_spec {
	char name[POOL_NAME_LEN]; /* default: the address as text */
	struct addr addr;	  /* port 0: the service's (kernel path only) */
	uint32_t weight;	  /* 0..BACKEND_MAX_WEIGHT */
	enum admin_state admin;
	uint32_t max_connections; /* of the proxy path at one time; 0: any number */
};

/* Requests that wait for a backend with room. */
struct queue_spec {
	uint32_t size;	     /* default 1000; 0: nobody waits */
	uint32_t timeout_ms; /* 5000 */
};

struct retry_spec {
	uint32_t attempts; /* after the first; default 2 */
	uint32_t on;	   /* bits of enum retry_on; connect and closed */
};

/* Failures of clients' requests that make a backend suspect. */
struct passive_spec {
	uint32_t failures;  /* in a row; 0: not asked for */
	uint32_t window_ms; /* ... within this */
};

struct pool_spec {
	char name[POOL_NAME_LEN];
	char algorithm[32]; /* a name that algorithm_exists() */
	bool start_up;	    /* start: up; unknown health is eligible */
	enum when_all_down when_all_down;
	enum on_down on_down;	  /* default keep */
	uint32_t table_size;	  /* slots of maglev and source-hash; 0: as many as are right */
	uint32_t max_connections; /* of backends that say nothing themselves */
	uint32_t slow_start_ms;	  /* until a backend that came up has its weight; 0: at once */
	struct queue_spec queue;
	struct retry_spec retries;
	struct passive_spec passive;
	struct backend_spec *backends; /* owned by the config */
	uint32_t n_backends;
};

#endif
