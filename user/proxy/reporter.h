/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Carries what workers see of failing backends to the control thread.
 *
 * For: exchanges and relays (say), proxy.c. Owns: the queue. May know: net, pool's reports.
 * Must never know: what becomes of a report.
 */
#ifndef PROXY_REPORTER_H
#define PROXY_REPORTER_H

#include "net/loop.h"
#include "pool/report.h"

struct reporter;
struct worker;

/* <loop> is the control thread's. */
int reporter_new(struct loop *loop, struct reporter **ret_reporter);
void reporter_free(struct reporter *reporter); /* control thread; NULL is fine */
void reporter_tell(struct reporter *reporter,
		   void (*fn)(void *ctx, const struct pool_report *report), void *ctx);
uint64_t reporter_dropped(const struct reporter *reporter); /* because there were too many */
/* On a worker's thread; <why> is a constant word. Never waits. */
void reporter_say(struct worker *worker, uint16_t backend, const char *why);

#endif
