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
