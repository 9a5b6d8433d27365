/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The proxy path: N workers, each a thread with its own loop, listeners and upstream connections.
 *
 * For: protocol http and path proxy. Owns: workers, listeners, sessions, retired snapshots.
 * May know: base, net, http, pool's views, algorithm, observe. Must never know: BPF, configuration
 * text, health checks. Failures of backends are counted in their live rows. All calls are for the
 * control thread.
 */
#ifndef PROXY_PROXY_H
#define PROXY_PROXY_H

#include "base/error.h"
#include "net/loop.h"
#include "proxy/snapshot.h"

struct proxy;
struct worker;

/* <loop> is the control thread's, for reclaiming snapshots. */
int proxy_start(struct loop *loop, uint32_t workers, struct proxy **ret_proxy, struct error *err);
/* Workers use <snapshot> from their next request on; ownership passes to the proxy. */
void proxy_publish(struct proxy *proxy, struct snapshot *snapshot);

/* Opens one SO_REUSEPORT listener per worker; -EADDRINUSE and the like with a sentence. */
int proxy_listen(struct proxy *proxy, uint32_t service_id, const struct addr *addr,
		 struct error *err);
/* Stops accepting at <addr>; open connections go on until their request is done. */
void proxy_unlisten(struct proxy *proxy, const struct addr *addr);

struct proxy_stats {		 /* of one service, summed over workers */
	uint64_t opened, closed; /* client connections */
	uint64_t requests;
	uint64_t bytes_in, bytes_out; /* from and to clients */
	uint64_t status[6];	      /* [2]: 2xx ... [0]: no status was sent */
};
void proxy_stats(struct proxy *proxy, uint32_t service_id, struct proxy_stats *ret_stats);

/*
 * Calls <visit> on the thread of each worker, one worker after the other, and returns when all have
 * been visited: what it gathers needs no lock. Workers never block, so this takes a turn of each.
 */
void proxy_visit(struct proxy *proxy, void (*visit)(struct worker *worker, void *ctx), void *ctx);

/* Stop accepting, close idle clients, let requests finish until <deadline_ms> from now, then close
 * the rest; <on_drained> is called on the control thread. */
void proxy_drain(struct proxy *proxy, uint32_t deadline_ms, void (*on_drained)(void *ctx),
		 void *ctx);
void proxy_free(struct proxy *proxy); /* joins the workers; NULL is fine */

#endif
