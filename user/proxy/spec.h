/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a service should be, as plain values from configuration.
 *
 * For: config (fills), daemon (compares, projects to the kernel), proxy. Owns: nothing.
 * Knows: base. Kernel-path services use it too; the proxy ignores them.
 */
#ifndef PROXY_SPEC_H
#define PROXY_SPEC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/prefix.h"
#include "base/strtable.h"
#include "observe/spec.h"

#define SERVICE_NAME_LEN 64

enum service_protocol { PROTOCOL_TCP, PROTOCOL_UDP, PROTOCOL_HTTP };
enum service_path { PATH_KERNEL, PATH_PROXY };
enum no_flow { NO_FLOW_RESET, NO_FLOW_DROP, NO_FLOW_PASS };
enum service_forward {
	FORWARD_NAT,
	FORWARD_SNAT,
	FORWARD_DSR,
	FORWARD_IPIP,
	FORWARD_GUE
}; /* = enum lb_forward */
extern const struct strtable protocol_names;
extern const struct strtable path_names;
extern const struct strtable forward_names;
extern const struct strtable no_flow_names;

struct timeouts_spec {		  /* all in ms */
	uint32_t client_header;	  /* default 10000: whole request head */
	uint32_t client_body;	  /* 30000: between reads of a body */
	uint32_t client_idle;	  /* 60000: keep-alive */
	uint32_t connect;	  /* 3000 */
	uint32_t response_header; /* 30000 */
	uint32_t response_idle;	  /* 30000: between reads of a response body */
	uint32_t tunnel;	  /* 3600000: TCP relay and upgraded connections */
	uint32_t drain;		  /* 30000 */
	uint32_t queue;		  /* for a backend with room; 0: as the pool says */
};

#define ROUTE_MAX_SHARES  16
#define ROUTE_MAX_METHODS 8
#define METHOD_NAME_LEN	  24

/* A part of a route's requests. */
struct share_spec {
	char pool[SERVICE_NAME_LEN];
	uint32_t weight; /* 0: only who is there already (sticky) */
};

/* All zero: no redirect. */
struct redirect_spec {
	char to[1024]; /* with variables */
	uint32_t code;
};

enum header_op {
	HEADER_REMOVE, /* every line of that name */
	HEADER_SET,    /* these take the place of what was there */
	HEADER_ADD,    /* what was there stays */
};

struct header_spec {
	enum header_op op;
	char *name;
	char *value; /* with variables; "" to remove */
};

/* Removals first, then those that set, then those that add. */
struct headers_spec {
	struct header_spec *headers;
	uint32_t n;
};

/* NULL when a header of that name may be changed so, else why not: a constant sentence. */
const char *header_name_fault(enum header_op op, struct slice name, bool response);

/* How a request is recognised, and what becomes of it: a pool, shares of pools, or a redirect. */
struct route_spec {
	char host[256]; /* "" any; "*.example.com"; lower case, no port */
	char path[256]; /* prefix; "" any */
	char methods[ROUTE_MAX_METHODS][METHOD_NAME_LEN];
	uint32_t n_methods;	     /* 0: any */
	char pool[SERVICE_NAME_LEN]; /* "" with shares or a redirect */
	struct share_spec *shares;   /* owned by the config */
	uint32_t n_shares;	     /* 0, or 1 to ROUTE_MAX_SHARES */
	struct redirect_spec redirect;
	struct headers_spec request_headers; /* both owned by the config */
	struct headers_spec response_headers;
	struct timeouts_spec timeouts; /* 0: the service's */
};

/* The pools a route may lead to, in order: none with a redirect. */
static inline uint32_t route_n_pools(const struct route_spec *route)
{
	return route->n_shares > 0 ? route->n_shares : route->pool[0] ? 1 : 0;
}

static inline const char *route_pool_name(const struct route_spec *route, uint32_t i)
{
	return route->n_shares > 0 ? route->shares[i].pool : route->pool;
}

enum proxy_protocol { PROXY_PROTOCOL_NONE, PROXY_PROTOCOL_V1, PROXY_PROTOCOL_V2 };
extern const struct strtable proxy_protocol_names;

struct proxy_protocol_spec {
	bool accept;		  /* a connection begins with a header: who the client is */
	enum proxy_protocol send; /* what a connection to a backend begins with */
};

/* How many new flows a source may open. */
struct rate_spec {
	uint32_t new_flows; /* 0: any number */
	uint32_t per_ms;
	uint32_t bits4; /* prefix that shares a limit, 0..32 */
	uint32_t bits6; /* 0..128 */
};

/* How long a flow may be idle, in ms; 0: the kernel path's default. */
struct flow_timeouts_spec {
	uint32_t syn;	  /* handshake not done */
	uint32_t open;	  /* established */
	uint32_t fin;	  /* one side has closed */
	uint32_t closing; /* both have */
	uint32_t udp_new; /* no reply yet */
	uint32_t udp;
};

enum same_site { SAME_SITE_LAX, SAME_SITE_STRICT, SAME_SITE_NONE };
extern const struct strtable same_site_names;

/* A cookie by which a client stays at its backend. */
struct sticky_spec {
	char cookie[64];     /* "" for none */
	char path[128];	     /* default "/" */
	uint32_t max_age_ms; /* 0: until the browser is closed */
	bool secure;
	bool http_only; /* default true */
	enum same_site same_site;
};

struct service_spec {
	struct access_log_spec access_log;
	char name[SERVICE_NAME_LEN];
	struct addr *listen; /* owned by the config */
	uint32_t n_listen;
	enum service_protocol protocol;
	enum service_path path;
	enum service_forward forward;
	bool enabled;
	struct route_spec
		*routes; /* first match wins; plain "pool:" is one route; owned by the config */
	uint32_t n_routes;
	struct timeouts_spec timeouts;
	struct proxy_protocol_spec proxy_protocol;
	struct addr *snat; /* source addresses of forward snat; owned by the config */
	uint32_t n_snat;
	enum no_flow no_flow; /* kernel path: what a TCP packet of no flow gets */
	struct flow_timeouts_spec flow_timeouts;
	struct prefix *allow; /* not empty: nobody else may connect; owned by the config */
	uint32_t n_allow;
	struct prefix *deny; /* owned by the config */
	uint32_t n_deny;
	struct rate_spec rate;
	uint32_t max_connections; /* of clients at one time, proxy path; 0: any number */
	uint32_t max_per_source;  /* ... of one address, or IPv6 /64 */
	struct prefix *trusted;	  /* proxies whose word on the client counts; owned by the config */
	uint32_t n_trusted;
	struct sticky_spec sticky;
};

void service_spec_fini(struct service_spec *service); /* frees what it owns; zeroed is fine */

/* What a text with variables may name: of a request, and of its way through here. */
enum variable {
	VARIABLE_CLIENT_IP,
	VARIABLE_CLIENT_PORT,
	VARIABLE_HOST, /* without a port */
	VARIABLE_METHOD,
	VARIABLE_PATH, /* of the target, as it came, without the query */
	VARIABLE_TARGET,
	VARIABLE_PROTO, /* http or https */
	VARIABLE_SERVICE,
	VARIABLE_POOL,
	VARIABLE_REQUEST_ID,
	VARIABLE_TRACEPARENT,
	VARIABLE_BACKEND, /* only where there is one: in responses */
};
extern const struct strtable variable_names;

#endif
