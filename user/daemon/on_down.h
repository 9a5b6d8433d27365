/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a backend that went down takes along, in a pool with 'on-down: reset'.
 *
 * For: entry.c (notes it), refresh.c (runs it). Owns: nothing. May know: dataplane, proxy, pools.
 *
 * Flows of the kernel path are ended as by 'backend kill': the next packet of either side is
 * answered by RST. Relays are reset. A request without an answer may go to another backend, as the
 * pool's retries say; one in the middle of its answer is cut. Connections of HTTP clients stay.
 */
#ifndef DAEMON_ON_DOWN_H
#define DAEMON_ON_DOWN_H

#include "daemon/entry.h"

void on_down_note(struct backend_check *check);
/* The kernel and the workers have been told that these backends get nothing new. */
void on_down_run(struct load_balancer *lb);
/* The same of the sessions of this process, which another one has replaced: it says which
 * <backends>, by their ids. */
void on_down_told(struct load_balancer *lb, const json_t *backends);

#endif
