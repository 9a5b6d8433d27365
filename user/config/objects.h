/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The objects of a configuration, each read by one file.
 *
 * For: build.c. Owns: nothing. May know: keys, the rooms' specs.
 */
#ifndef CONFIG_OBJECTS_H
#define CONFIG_OBJECTS_H

#include "config/config.h"
#include "config/keys.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

key_read_fn read_interfaces;	   /* out: struct config */
key_read_fn read_pools;		   /* out: struct config */
key_read_fn read_services;	   /* out: struct config */
key_read_fn read_health;	   /* out: struct health_spec */
key_read_fn read_routes;	   /* out: struct service_spec */
key_read_fn read_timeouts;	   /* out: struct timeouts_spec */
key_read_fn read_request_headers;  /* out: struct headers_spec */
key_read_fn read_response_headers; /* likewise */
key_read_fn read_trusted;	   /* out: struct service_spec */
key_read_fn read_sticky;	   /* out: struct sticky_spec */
key_read_fn read_allow;		   /* out: struct service_spec */
key_read_fn read_deny;		   /* out: struct service_spec */
key_read_fn read_rate;		   /* out: struct rate_spec */
key_read_fn read_flow_timeouts;	   /* out: struct flow_timeouts_spec */
key_read_fn read_proxy_protocol;   /* out: struct proxy_protocol_spec */
key_read_fn read_queue;		   /* out: struct queue_spec */
key_read_fn read_retries;	   /* out: struct retry_spec */
key_read_fn read_passive;	   /* out: struct passive_spec */
key_read_fn read_access_log;	   /* out: struct access_log_spec */
void pool_overload_defaults(struct pool_spec *pool);
void health_defaults(struct health_spec *health);

/* What no single object can know: missing pools, overlaps, combinations. */
void check_config(struct build *build, const struct doc *doc);
/* The same for what protects a kernel service. */
void check_protection(struct build *build, const struct place *place,
		      const struct service_spec *service);
/* The same for what the proxy path alone can do. */
void check_proxying(struct build *build, const struct place *place,
		    const struct service_spec *service);
void check_access_log(struct build *build, const struct place *place,
		      const struct service_spec *service);
void check_prefix_count(struct build *build, const struct place *place);
/* The node of one listen address, for messages. */
const struct doc *listen_node(const struct doc *service, uint32_t i);

#endif
