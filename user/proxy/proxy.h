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
#include "pool/report.h"
#include "proxy/snapshot.h"

#define PROXY_BACKLOG 4096 /* of a listening socket */

struct proxy;
struct worker;

/* <loop> is the control thread's, for reclaiming snapshots. */
int proxy_start(struct loop *loop, uint32_t workers, struct proxy **ret_proxy, struct error *err);
/* Workers use <snapshot> from their next request on; ownership passes to the proxy. */
void proxy_publish(struct proxy *proxy, struct snapshot *snapshot);

/*
 * More workers get sockets of their own before this returns; those that leave hand theirs to the
 * others, so that nobody in a queue is reset, and end when their connections have, by the services'
 * drain timeouts. On failure nothing has changed.
 */
int proxy_set_workers(struct proxy *proxy, uint32_t workers, struct error *err);

/* Opens one SO_REUSEPORT socket per worker; -EADDRINUSE and the like with a sentence. An address of
 * another service is taken over from it, with its sockets: that one's connections drain. */
int proxy_listen(struct proxy *proxy, uint32_t service_id, const struct addr *addr,
		 struct error *err);
/* Stops accepting at <addr> if that is this service's (0: anybody's); open connections go on until
 * their request is done, and at most for the service's drain timeout. */
void proxy_unlisten(struct proxy *proxy, uint32_t service_id, const struct addr *addr);

/* A listening socket that proxy_listen() shall take instead of opening one. Takes <fd> over unless
 * it fails. */
int proxy_inherit(struct proxy *proxy, int fd);
void proxy_each_unused(struct proxy *proxy, void (*each)(void *ctx, const struct addr *addr),
		       void *ctx);	    /* those that nobody took */
void proxy_disinherit(struct proxy *proxy); /* closes them */
/* From now on proxy_listen() opens sockets, but nobody accepts from them until proxy_accept(). */
void proxy_hold(struct proxy *proxy);
void proxy_accept(struct proxy *proxy);
/* The sockets of each address, for handing them to another process. */
void proxy_each_socket(struct proxy *proxy,
		       void (*each)(void *ctx, const struct addr *addr, const int *fds, unsigned n),
		       void *ctx);

struct proxy_stats {		 /* of one service, summed over workers */
	uint64_t opened, closed; /* client connections */
	uint64_t requests;
	uint64_t bytes_in, bytes_out; /* from and to clients */
	uint64_t status[6];	      /* [2]: 2xx ... [0]: no status was sent */
	uint64_t bad_headers; /* connections refused for a wrong, late or missing PROXY header */
	uint64_t refused;     /* connections: denied, too fast, too many of one source */
	uint64_t no_room;     /* requests and relays: the queue was full, or its time over */
};
void proxy_stats(struct proxy *proxy, uint32_t service_id, struct proxy_stats *ret_stats);

/* How many client connections there may be in all; 0: any number. */
void proxy_limit(struct proxy *proxy, uint32_t max_connections);
/* <fn> is called on the control thread for each failure of a backend; some are dropped when there
 * are too many. */
void proxy_on_report(struct proxy *proxy, void (*fn)(void *ctx, const struct pool_report *report),
		     void *ctx);

uint64_t proxy_reports_dropped(const struct proxy *proxy);

/* Requests and connections of a pool that wait for a backend with room. */
uint32_t proxy_queued(const struct proxy *proxy, uint32_t pool_id);

/*
 * Calls <visit> on the thread of each worker, one worker after the other, and returns when all have
 * been visited: what it gathers needs no lock. Workers never block, so this takes a turn of each.
 */
void proxy_visit(struct proxy *proxy, void (*visit)(struct worker *worker, void *ctx), void *ctx);

/* Without what processes before this one counted. */
void proxy_stats_own(struct proxy *proxy, uint32_t service_id, struct proxy_stats *ret_stats);
/* What processes before this one counted for a service; replaces what was said before. */
void proxy_stats_before(struct proxy *proxy, uint32_t service_id, const struct proxy_stats *stats);
uint64_t proxy_sessions(struct proxy *proxy); /* open now */

/*
 * Stops accepting, tells clients with their next response that the connection ends, and closes what
 * is left when the drain timeout of its service is over, at most <deadline_ms> from now.
 * <on_drained> is called on the control thread, from its loop.
 */
void proxy_drain(struct proxy *proxy, uint32_t deadline_ms, void (*on_drained)(void *ctx),
		 void *ctx);
/* The same when another process accepts from our sockets now: they are given up as they are. */
void proxy_hand_over(struct proxy *proxy, void (*on_drained)(void *ctx), void *ctx);
void proxy_free(struct proxy *proxy); /* joins the workers; NULL is fine */

#endif
