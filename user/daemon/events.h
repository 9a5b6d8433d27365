/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What happened lately, in order: changes of health and state, and packets that were not simply
 * forwarded.
 *
 * For: GET /v1/events. Owns: the last EVENTS_KEPT of them, as the JSON they are sent in. May know:
 * dataplane, control. Numbers begin at 1 with each start of lbd. Packets are samples: at most ten
 * of a verdict in a second.
 */
#ifndef DAEMON_EVENTS_H
#define DAEMON_EVENTS_H

#include <stdint.h>

#include "base/buffer.h"
#include "lb/abi.h"
#include "net/loop.h"

#define EVENTS_KEPT 1024

struct load_balancer;

struct events {
	uint64_t next;		 /* number of the next one; 0: none yet */
	char *kept[EVENTS_KEPT]; /* by number: JSON */
	struct source source;	 /* the kernel's */
	struct load_balancer *lb;
	uint64_t told_ms[LB_VERDICT_COUNT]; /* CLOCK_MONOTONIC */
};

/* What an event says; texts may be NULL. */
struct event {
	uint64_t time_ms; /* since 1970; 0: now */
	const char *kind; /* "health", "admin", "packet" */
	const char *object;
	const char *from;
	const char *to;
	const char *reason;
};

/* Reads the kernel's events from now on, if there is a kernel path. 0 or -errno. */
int events_start(struct load_balancer *lb);
void events_fini(struct load_balancer *lb);

void events_add(struct load_balancer *lb, const struct event *event);
/* A backend's field went from one word to another. */
struct backend;
struct pool;
void events_backend(struct load_balancer *lb, const struct pool *pool,
		    const struct backend *backend, struct event event);

/* Appends what comes after number *cursor, and moves it: a control_feed. */
void events_feed(void *ctx, uint64_t *cursor, struct buffer *out);

#endif
