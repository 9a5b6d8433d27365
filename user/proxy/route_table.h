/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A service's routes as the workers use them: understood once for each configuration.
 *
 * For: snapshots (which own one per service), route.c, whoever serves a request by its route.
 * Owns: its arrays; the spec is borrowed. May know: base, http, the spec.
 * Immutable but for the counters that share requests out among pools.
 */
#ifndef PROXY_ROUTE_TABLE_H
#define PROXY_ROUTE_TABLE_H

#include <stdatomic.h>

#include "proxy/header_edit.h"
#include "proxy/spec.h"

#define ROUTE_INDEX_FROM 17 /* routes: with fewer, looking at each is as fast */

/* Which of a route's pools is next: a row of turns in which each share stands as often as it
 * weighs, evenly spread; all workers walk along it together. */
struct route_turns {
	uint8_t *pools; /* n of them */
	uint32_t n;
	atomic_uint next;
};

struct route_rule {
	const struct route_spec *spec;
	struct timeouts_spec timeouts; /* with the service's where the route says nothing */
	uint32_t methods;	       /* bits of enum http_method; 0: any */
	bool other_methods;	       /* the spec names some that the enum does not */
	struct route_turns turns;
	struct format redirect; /* of the spec's redirect.to */
	struct header_edits request_edits;
	struct header_edits response_edits;
	uint32_t first_pool; /* of its pools in snapshot_service.route_pool */
};

/* Routes that may fit a host, in order. */
struct route_list {
	struct slice host; /* in the spec */
	uint32_t first, n; /* in order[] */
};

struct route_table {
	const struct service_spec *spec;
	struct route_rule *rules; /* one for each of the spec's routes */
	uint32_t n_pools;	  /* of all routes together */
	bool paths;		  /* some route looks at the path */
	/* By exact host, from ROUTE_INDEX_FROM routes on. */
	uint16_t *order;
	struct route_list *lists; /* the last is for all other hosts */
	uint32_t n_lists;
	uint16_t *buckets; /* index in lists + 1; linear probing */
	uint32_t mask;
};

int route_table_new(const struct service_spec *spec, struct route_table **ret_table);
void route_table_free(struct route_table *table); /* NULL is fine */
/* The routes that may fit <host>, in any case; NULL: any may. */
const struct route_list *route_table_list(const struct route_table *table, struct slice host);
/* "*.example.com" is every name below example.com, and not example.com itself. */
bool route_host_fits(struct slice want, struct slice host);
/* The place of the next request among the route's pools. */
uint32_t route_turn(struct route_rule *rule);
uint32_t route_next_turn(const struct route_rule *rule); /* the same, and takes no turn */

#endif
