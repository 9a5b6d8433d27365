/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * From one configuration to the next: what can fail first, then the rest, all or nothing.
 *
 * For: start, reload and every change through the API; all of them come this way.
 * Owns: nothing. May know: entry, dataplane, proxy, config.
 */
#ifndef DAEMON_APPLY_H
#define DAEMON_APPLY_H

#include "daemon/load_balancer.h"

/* On success <config> is lb->config and the one before is freed; on failure the caller keeps it. */
int apply_config(struct load_balancer *lb, struct config *config, struct error *err);
/* Opens the services when every backend had its first result. */
void open_when_known(struct load_balancer *lb);
int open_services(struct load_balancer *lb, struct error *err);

#endif
