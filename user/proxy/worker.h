/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One thread of the proxy with everything it needs, shared with nobody.
 *
 * For: sessions, which live on exactly one worker. Owns: its loop, listeners, sessions, buffers
 * and idle upstream connections. May know: all of this room but proxy.c.
 * Functions are for the worker's own thread unless they say otherwise.
 */
#ifndef PROXY_WORKER_H
#define PROXY_WORKER_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/addr.h"
#include "net/loop.h"
#include "proxy/buffer_pool.h"
#include "proxy/counts.h"
#include "proxy/snapshot.h"
#include "proxy/upstream_pool.h"

#define WORKER_IDLE	      UINT64_MAX /* epoch of a worker that waits: it holds no snapshot */
#define WORKER_LOG_PER_SECOND 20	 /* failures that are logged; the rest are counted */
#define WORKER_KEEP_EXCHANGES 1024

struct exchange;
struct session;

/* What all workers read; the control thread writes. */
struct proxy_shared {
	_Atomic(struct snapshot *) current;
	_Atomic uint64_t epoch; /* of current; stored after it */
};

struct worker {
	struct loop *loop;
	pthread_t thread;
	bool running;
	struct proxy_shared *shared;
	_Atomic uint64_t epoch; /* that this turn may hold, or WORKER_IDLE */
	struct buffer_pool buffers;
	struct upstream_pool upstreams;
	struct list listeners;
	struct list sessions;
	struct exchange *free_exchanges;
	uint32_t n_free_exchanges;
	struct http_head head; /* scratch: filled and used within one call */
	int reserve_fd;	       /* given up when there are no others, see listener.c */
	bool draining;
	bool drained_said;
	struct timer drain_timer;
	void (*on_drained)(struct worker *worker); /* on the worker's thread, once */
	void *owner;
	uint64_t log_second; /* rate bound of worker_may_log */
	uint32_t logged, unlogged;
};

/* Starts the thread. <worker> is zeroed; shared, on_drained and owner are set. Control thread. */
int worker_start(struct worker *worker);
/* Ends everything, joins. Control thread; for workers that never started too. */
void worker_stop(struct worker *worker);
/* True when no snapshot older than <epoch> is in use. Control thread. */
bool worker_passed(const struct worker *worker, uint64_t epoch);

/* NULL before the first is published. Not to be kept across a return to the loop. */
static inline const struct snapshot *worker_snapshot(const struct worker *worker)
{
	return atomic_load(&worker->shared->current);
}

/* No new sessions, idle ones end now, busy ones when their request is done; after <deadline_ms>
 * they end too. */
void worker_drain(struct worker *worker, uint32_t deadline_ms);
void worker_session_added(struct worker *worker, struct session *session);
void worker_session_gone(struct worker *worker, struct session *session);
/* Bounds the lines a storm of failures can write. */
bool worker_may_log(struct worker *worker);
/* Names for the log; "?" when it is gone. */
const char *worker_service_name(const struct worker *worker, uint32_t service_id);
const char *worker_pool_name(const struct worker *worker, uint32_t pool_id);

#endif
