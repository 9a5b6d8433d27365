/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a health check should do, as plain values from configuration.
 *
 * For: config and daemon. Owns: nothing. Knows: base.
 */
#ifndef HEALTH_SPEC_H
#define HEALTH_SPEC_H

#include <stdint.h>

#include "base/strtable.h"

enum health_type { HEALTH_NONE, HEALTH_TCP, HEALTH_HTTP };
extern const struct strtable health_type_names;

#define HEALTH_MAX_STATUS 8

struct health_spec {
	enum health_type type;
	uint32_t interval_ms;	 /* default 2000 */
	uint32_t timeout_ms;	 /* default 1000 */
	uint32_t rise;		 /* default 2 */
	uint32_t fall;		 /* default 3 */
	uint32_t jitter_percent; /* default 5 */
	uint32_t backoff_max_ms; /* default 30000 */
	uint32_t port;		 /* 0: the backend's */
	char host[256];		 /* http: Host; "" the backend's address */
	char path[256];		 /* http, default "/" */
	char method[16];	 /* http, default "GET" */
	char body[256];		 /* http: substring of the first 64 KB; "" any */
	struct {
		uint16_t first, last; /* inclusive */
	} status[HEALTH_MAX_STATUS];  /* http; none given: 200..399 */
	uint32_t n_status;
};

#endif
