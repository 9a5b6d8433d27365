/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the old lbd has and knows, as messages for the new one.
 *
 * For: upgrade.c. Owns: nothing. May know: handover, every room's state.
 */
#ifndef DAEMON_UPGRADE_SEND_H
#define DAEMON_UPGRADE_SEND_H

#include "daemon/load_balancer.h"

/* Sockets, lock, rows, generations, and "prepare". 0 or -errno. */
int upgrade_send_sockets(struct load_balancer *lb, int channel);
/* Health, counts, and "go". 0 or -errno. */
int upgrade_send_state(struct load_balancer *lb, int channel);

#endif
