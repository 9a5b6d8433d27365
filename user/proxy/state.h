/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The proxy's insides, as the control thread has them.
 *
 * For: proxy.c, binding.c, trace.c. Owns: what proxy.h says. May know: workers and listeners.
 * Everything here is the control thread's; what a worker has is touched by worker_visit().
 */
#ifndef PROXY_STATE_H
#define PROXY_STATE_H

#include "proxy/listener.h"
#include "proxy/proxy.h"
#include "proxy/worker.h"

#define PROXY_SETTLE_MS 20 /* how often what goes on by itself is looked at */

/*
 * One address that is listened on. Its sockets are shared out among the workers, any number to
 * each: socket i belongs to worker i modulo their number. So a change of that number closes none.
 */
struct binding {
	struct list node; /* in proxy->bindings or proxy->closing */
	struct addr addr;
	uint64_t serial;
	uint32_t service_id;
	uint64_t close_ms; /* in proxy->closing: when the sockets are closed */
	uint32_t n_listeners;
	struct listener *listeners[PROXY_MAX_WORKERS];
};

/* A socket that somebody else opened for us, until a service listens at its address. */
struct inherited {
	struct list node; /* proxy->inherited */
	struct addr addr;
	int fd;
};

/* What a service has counted: a row of each worker, and what processes before this one had. */
struct count_rows {
	struct proxy_stats before;
	struct service_counts *of[PROXY_MAX_WORKERS];
};

struct proxy {
	struct loop *loop; /* the control thread's */
	struct proxy_shared shared;
	struct snapshot *retired; /* each with the epoch of its successor */
	struct timer reclaim;
	struct timer settle;
	struct list bindings;
	struct list closing; /* their queues are served before they are closed */
	struct list inherited;
	uint64_t last_serial;
	struct count_rows *counts[LB_MAX_SERVICES]; /* by service id */
	bool held;				    /* nobody accepts yet */
	bool draining;
	uint32_t drain_cap_ms;
	void (*on_drained)(void *ctx);
	void *drained_ctx;
	uint32_t n_workers; /* that work; those above may be leaving, or not be */
	struct worker *workers[PROXY_MAX_WORKERS];
};

/* binding.c: shares every binding's sockets out among proxy->n_workers; opens some where there are
 * too few. What cannot be opened is logged: the others take its share. */
void bindings_spread(struct proxy *proxy);
/* Serves and closes the sockets of those whose time has come; true when some are left. */
bool bindings_settle(struct proxy *proxy);
void bindings_close_all(struct proxy *proxy);
/* Gives the sockets up to another process that has them too: nothing is reset. */
void bindings_give_up(struct proxy *proxy);
void bindings_free(struct proxy *proxy); /* workers are gone */
/* The drain timeout of a service as it is now. */
uint32_t binding_drain_ms(const struct proxy *proxy, const struct binding *binding);
/* proxy.c: rows of a service for <n> workers; false: no memory. */
bool counts_make(struct proxy *proxy, uint32_t service_id, uint32_t n);
void settle_soon(struct proxy *proxy);

#endif
