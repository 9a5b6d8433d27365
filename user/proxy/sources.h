/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Who may connect to a service: allowed and denied prefixes, new connections in a time, open
 * connections of one source.
 *
 * For: listener.c. Owns: counts by service and source, over all workers, each shard with a lock
 * that only services with such limits take. May know: base, specs. Must never know: sockets,
 * protocols. A source is an address, or its prefix: of rate as configured, else /32 and /64.
 */
#ifndef PROXY_SOURCES_H
#define PROXY_SOURCES_H

#include <stdbool.h>

#include "proxy/spec.h"

struct sources;

#define SOURCES_TOO_MANY "too_many_of_source" /* why sources_enter() says no */

int sources_new(struct sources **ret_sources);
void sources_free(struct sources *sources); /* NULL is fine */

/* Who asks for what. */
struct source_ask {
	uint32_t service_id;
	const struct service_spec *spec;
	const struct addr *peer;
	uint64_t now_ms; /* monotonic */
	bool dry;	 /* nothing is counted, see sources_foresee() */
};

/* NULL: it may connect. Else the reason, a constant word. */
const char *sources_refuse(struct sources *sources, const struct source_ask *ask);
/* What sources_refuse() would say now, or that too many are open; nothing is counted. */
const char *sources_foresee(struct sources *sources, const struct source_ask *ask);
/* One connection more, if that is not above <max>; sources_leave() when it ends. */
bool sources_enter(struct sources *sources, uint32_t service_id, const struct addr *peer,
		   uint32_t max);
void sources_leave(struct sources *sources, uint32_t service_id, const struct addr *peer);

#endif
