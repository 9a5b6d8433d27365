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
#include "proxy/date.h"
#include "proxy/limits.h"
#include "proxy/snapshot.h"
#include "proxy/upstream_pool.h"

#define PROXY_MAX_WORKERS     64
#define WORKER_IDLE	      UINT64_MAX /* epoch of a worker that waits: it holds no snapshot */
#define WORKER_LOG_PER_SECOND 20	 /* failures that are logged; the rest are counted */
#define WORKER_KEEP_EXCHANGES 1024

struct admission;
struct reporter;
struct sources;
struct exchange;
struct log_ring;
struct record;
struct session;

/* What all workers read; the control thread writes. */
struct proxy_shared {
	_Atomic(struct snapshot *) current;
	_Atomic uint64_t epoch; /* of current; stored after it */
	struct admission *admission;
	struct reporter *reporter;
	struct limits *limits;
	struct sources *sources;
};

struct worker {
	struct loop *loop;
	pthread_t thread;
	bool running;
	struct proxy_shared *shared;
	_Atomic uint64_t epoch; /* that this turn may hold, or WORKER_IDLE */
	struct buffer_pool buffers;
	struct upstream_pool upstreams;
	uint32_t index;
	struct limits_waiter limits;
	struct list sessions;
	struct list drains; /* struct drain */
	struct exchange *free_exchanges;
	uint32_t n_free_exchanges;
	struct list errors; /* struct last_error */
	struct record *free_records;
	uint32_t n_free_records;
	struct log_ring *log_ring; /* for access logs; NULL: no memory for it */
	struct date date;
	struct http_head head; /* scratch: filled and used within one call */
	int reserve_fd;	       /* given up when there are no others, see listener.c */
	bool draining;	       /* it leaves, or all do */
	atomic_bool drained;   /* draining, and without a session */
	uint64_t log_second;   /* rate bound of worker_may_log */
	uint32_t logged, unlogged;
};

/* The end of the sessions of one listener's serial, by a deadline. */
struct drain {
	struct list node; /* worker->drains */
	struct worker *worker;
	struct timer timer;
	uint64_t serial;
	bool leaving; /* only because the worker leaves */
};

/* Starts the thread. <worker> is zeroed; shared and index are set. Control thread. */
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

/* Calls <visit> on the worker's thread and returns when it was called. Control thread. */
void worker_visit(struct worker *worker, void (*visit)(struct worker *worker, void *ctx),
		  void *ctx);
/*
 * The sessions of <serial> end when what is in flight is done, and at the latest after
 * <deadline_ms>. <workers> has PROXY_MAX_WORKERS entries. Control thread.
 */
void workers_end(struct worker *const *workers, uint64_t serial, uint32_t deadline_ms);
/* The same on one worker only, because it leaves. */
void worker_end(struct worker *worker, uint64_t serial, uint32_t deadline_ms);
/* All sessions end as their drains say; <drained> when there are none. Control thread. */
void worker_leave(struct worker *worker);
void worker_stay(struct worker *worker); /* takes it back. Control thread. */
void worker_session_added(struct worker *worker, struct session *session);
void worker_session_gone(struct worker *worker, struct session *session);
/* Bounds the lines a storm of failures can write. */
bool worker_may_log(struct worker *worker);
static inline struct slice worker_date(struct worker *worker)
{
	return date_at(&worker->date, loop_now_ms(worker->loop));
}

/* Names for the log; "?" when it is gone. */
const char *worker_service_name(const struct worker *worker, uint32_t service_id);
const char *worker_pool_name(const struct worker *worker, uint32_t pool_id);

#endif
