/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "config/equal.h"

#include <string.h>

static bool numbers_equal(const struct health_spec *a, const struct health_spec *b)
{
	return a->type == b->type && a->interval_ms == b->interval_ms &&
	       a->timeout_ms == b->timeout_ms && a->rise == b->rise && a->fall == b->fall &&
	       a->jitter_percent == b->jitter_percent && a->backoff_max_ms == b->backoff_max_ms &&
	       a->port == b->port;
}

static bool statuses_equal(const struct health_spec *a, const struct health_spec *b)
{
	if (a->n_status != b->n_status)
		return false;
	for (uint32_t i = 0; i < a->n_status; i++) {
		if (a->status[i].first != b->status[i].first ||
		    a->status[i].last != b->status[i].last)
			return false;
	}
	return true;
}

bool health_spec_equal(const struct health_spec *a, const struct health_spec *b)
{
	return numbers_equal(a, b) && statuses_equal(a, b) && strcmp(a->host, b->host) == 0 &&
	       strcmp(a->path, b->path) == 0 && strcmp(a->method, b->method) == 0 &&
	       strcmp(a->body, b->body) == 0;
}

bool backend_spec_equal(const struct backend_spec *a, const struct backend_spec *b)
{
	return addr_equal(&a->addr, &b->addr) && a->weight == b->weight && a->admin == b->admin &&
	       a->max_connections == b->max_connections && strcmp(a->name, b->name) == 0;
}

static bool addrs_equal(const struct addr *a, uint32_t n_a, const struct addr *b, uint32_t n_b)
{
	if (n_a != n_b)
		return false;
	for (uint32_t i = 0; i < n_a; i++) {
		if (!addr_equal(&a[i], &b[i]))
			return false;
	}
	return true;
}

static bool prefixes_equal(const struct prefix *a, uint32_t n_a, const struct prefix *b,
			   uint32_t n_b)
{
	_Static_assert(sizeof(*a) == 17, "no padding");
	return n_a == n_b && (n_a == 0 || memcmp(a, b, n_a * sizeof(*a)) == 0);
}

/* Both are of uint32_t, so there is no padding. */
static bool protection_equal(const struct service_spec *a, const struct service_spec *b)
{
	return a->no_flow == b->no_flow && a->max_connections == b->max_connections &&
	       a->max_per_source == b->max_per_source &&
	       prefixes_equal(a->allow, a->n_allow, b->allow, b->n_allow) &&
	       prefixes_equal(a->deny, a->n_deny, b->deny, b->n_deny) &&
	       memcmp(&a->rate, &b->rate, sizeof(a->rate)) == 0 &&
	       memcmp(&a->flow_timeouts, &b->flow_timeouts, sizeof(a->flow_timeouts)) == 0;
}

/* All of its members are uint32_t, so there is no padding. */
static bool timeouts_equal(const struct timeouts_spec *a, const struct timeouts_spec *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

static bool shares_equal(const struct route_spec *a, const struct route_spec *b)
{
	if (a->n_shares != b->n_shares)
		return false;
	for (uint32_t i = 0; i < a->n_shares; i++) {
		if (strcmp(a->shares[i].pool, b->shares[i].pool) != 0 ||
		    a->shares[i].weight != b->shares[i].weight)
			return false;
	}
	return true;
}

static bool methods_equal(const struct route_spec *a, const struct route_spec *b)
{
	if (a->n_methods != b->n_methods)
		return false;
	for (uint32_t i = 0; i < a->n_methods; i++) {
		if (strcmp(a->methods[i], b->methods[i]) != 0)
			return false;
	}
	return true;
}

static bool headers_equal(const struct headers_spec *a, const struct headers_spec *b)
{
	if (a->n != b->n)
		return false;
	for (uint32_t i = 0; i < a->n; i++) {
		const struct header_spec *x = &a->headers[i];
		const struct header_spec *y = &b->headers[i];

		if (x->op != y->op || strcmp(x->name, y->name) != 0 ||
		    strcmp(x->value, y->value) != 0)
			return false;
	}
	return true;
}

static bool sticky_equal(const struct sticky_spec *a, const struct sticky_spec *b)
{
	return strcmp(a->cookie, b->cookie) == 0 && strcmp(a->path, b->path) == 0 &&
	       a->max_age_ms == b->max_age_ms && a->secure == b->secure &&
	       a->http_only == b->http_only && a->same_site == b->same_site;
}

static bool route_equal(const struct route_spec *a, const struct route_spec *b)
{
	return strcmp(a->host, b->host) == 0 && strcmp(a->path, b->path) == 0 &&
	       strcmp(a->pool, b->pool) == 0 && methods_equal(a, b) && shares_equal(a, b) &&
	       strcmp(a->redirect.to, b->redirect.to) == 0 &&
	       a->redirect.code == b->redirect.code && timeouts_equal(&a->timeouts, &b->timeouts) &&
	       headers_equal(&a->request_headers, &b->request_headers) &&
	       headers_equal(&a->response_headers, &b->response_headers);
}

static bool routes_equal(const struct service_spec *a, const struct service_spec *b)
{
	if (a->n_routes != b->n_routes)
		return false;
	for (uint32_t i = 0; i < a->n_routes; i++) {
		if (!route_equal(&a->routes[i], &b->routes[i]))
			return false;
	}
	return true;
}

static bool proxy_protocol_equal(const struct proxy_protocol_spec *a,
				 const struct proxy_protocol_spec *b)
{
	return a->accept == b->accept && a->send == b->send;
}

bool service_spec_equal(const struct service_spec *a, const struct service_spec *b)
{
	return strcmp(a->name, b->name) == 0 && a->protocol == b->protocol && a->path == b->path &&
	       a->forward == b->forward && a->enabled == b->enabled &&
	       addrs_equal(a->listen, a->n_listen, b->listen, b->n_listen) &&
	       addrs_equal(a->snat, a->n_snat, b->snat, b->n_snat) && routes_equal(a, b) &&
	       timeouts_equal(&a->timeouts, &b->timeouts) &&
	       proxy_protocol_equal(&a->proxy_protocol, &b->proxy_protocol) &&
	       prefixes_equal(a->trusted, a->n_trusted, b->trusted, b->n_trusted) &&
	       sticky_equal(&a->sticky, &b->sticky) &&
	       access_log_spec_equal(&a->access_log, &b->access_log) && protection_equal(a, b);
}
