/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What is left of services and backends that are not in the configuration any more.
 *
 * For: apply.c, once the kernel leads no packet to them, and the registry of ids. Owns: nothing.
 * May know: dataplane, ids.
 */
#ifndef DAEMON_FORGET_H
#define DAEMON_FORGET_H

#include "daemon/load_balancer.h"

/* Gives their ids back and ends their flows, also those that a previous daemon left: the next
 * packet of either side is answered by RST. */
void forget_services(struct load_balancer *lb);
/* Sets the bit of each backend that a flow record names; <ctx> is the load balancer. */
void forget_mark_named(void *ctx, uint8_t *bits);

#endif
