/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Carrying what pools say to where packets and requests are balanced.
 *
 * For: pool views -> balancers -> kernel maps and worker snapshots. Owns: nothing.
 * May know: entry, project, dataplane, proxy.
 */
#ifndef DAEMON_REFRESH_H
#define DAEMON_REFRESH_H

#include "daemon/entry.h"

/* Before the next turn of the loop, once, however often it is asked. */
void refresh_soon(struct load_balancer *lb);
/* Now. What fails is logged and tried again with the next change or heartbeat. */
/* After lb->config or lb->pools became others: what workers read of them is made anew. */
void refresh_config_changed(struct load_balancer *lb);
int refresh_now(struct load_balancer *lb, struct error *err);

void tombstone_add(struct load_balancer *lb, uint32_t pool, const struct backend *backend);
/* After a start: ids that the maps name and the configuration does not. */
void tombstone_adopt(struct load_balancer *lb);
void tombstone_drop(struct load_balancer *lb, uint16_t id);
/* Forgets those whose ids are free again. */
void tombstone_sweep(struct load_balancer *lb);

#endif
