/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The old side of an upgrade: starts the lbd that replaces this one and hands everything over.
 *
 * For: the API, load_balancer.c. Owns: the new process until it serves.
 * May know: handover, proxy, control, dataplane.
 *
 *   state      event                                 next
 *   NONE       asked for, the program was started    STARTED
 *   STARTED    hello: sockets are sent               LOADING
 *   LOADING    ready: checks and writes stop         SWITCHING
 *   SWITCHING  serving: sockets are given up         DONE
 *   STARTED, LOADING, SWITCHING
 *              failed, ended, no time left           NONE; checks and writes go on
 *
 * One writer: the kernel path's lock goes over as a descriptor, and is kept by both until DONE; the
 * old one does not write after its "go", the new one not before it. Configuration cannot be changed
 * while an upgrade is under way, as the new one may have read it already.
 */
#ifndef DAEMON_UPGRADE_H
#define DAEMON_UPGRADE_H

#include "daemon/load_balancer.h"

#define UPGRADE_TIMEOUT_MS     10000
#define UPGRADE_MIN_TIMEOUT_MS 100
#define UPGRADE_MAX_TIMEOUT_MS 600000

enum upgrade_state {
	UPGRADE_NONE,	   /* none is under way */
	UPGRADE_STARTED,   /* the new process has not spoken yet */
	UPGRADE_LOADING,   /* it has our sockets and makes itself ready */
	UPGRADE_SWITCHING, /* we have stopped, it has not begun */
	UPGRADE_DONE,	   /* it serves, we drain */
};

struct upgrade_info {
	const char *state; /* "none", "starting", "loading", "switching", "failed", "done" */
	pid_t pid;	   /* of the new process, also of one that failed; 0: there was none */
	const char *why;   /* it failed; "" */
};

/* <program> replaces argv[0], which is looked up anew; NULL: argv[0]. 0 or -errno. */
int upgrade_start(struct load_balancer *lb, const char *program, uint32_t timeout_ms,
		  struct error *err);
void upgrade_info(const struct load_balancer *lb, struct upgrade_info *ret_info);
/* Is one under way, or done? Then nothing is changed here any more. */
bool upgrade_busy(const struct load_balancer *lb);
/* Another lbd writes the maps, or is about to. */
bool upgrade_frozen(const struct load_balancer *lb);
void upgrade_cancel(struct load_balancer *lb); /* before it is done */
void upgrade_free(struct load_balancer *lb);

#endif
