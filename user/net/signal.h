/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Signals as events of a loop.
 *
 * For: the control thread. Owns: a signalfd. May know: base. Must never know: what a signal means.
 */
#ifndef NET_SIGNAL_H
#define NET_SIGNAL_H

#include "net/loop.h"

struct signals {
	struct source source;
	void (*on_signal)(struct signals *signals, int number);
};

/*
 * Blocks SIGHUP, SIGTERM, SIGINT and SIGUSR1 in the calling thread and those it will start, and
 * ignores SIGPIPE: call it first of all, before any thread exists.
 */
int signals_block(void);
/* Calls <on_signal> with the number for each of the blocked; it may call signals_fini(). */
int signals_init(struct signals *signals, struct loop *loop,
		 void (*on_signal)(struct signals *signals, int number));
void signals_fini(struct signals *signals, struct loop *loop); /* zeroed or twice is fine */

#endif
