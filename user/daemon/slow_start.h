/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Lets the weights of backends that start slowly rise, step by step.
 *
 * For: entries. Owns: nothing (its timer is in struct load_balancer). May know: pools.
 */
#ifndef DAEMON_SLOW_START_H
#define DAEMON_SLOW_START_H

#include "daemon/load_balancer.h"

void slow_start_init(struct load_balancer *lb);
/* Services are open: who comes up from now on starts slowly. */
void slow_start_begin(struct load_balancer *lb);
/* Somebody of the pool may be on the way up. Not all pools are looked at: they change one by one.
 */
void slow_start_watch(struct load_balancer *lb, struct pool *changed);
void slow_start_fini(struct load_balancer *lb);

#endif
