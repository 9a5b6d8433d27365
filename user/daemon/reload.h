/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The file and the overlay over it, read at start; load_balancer_reload() does so again.
 *
 * For: load balancer. Owns: nothing. May know: config, overlay, apply.
 */
#ifndef DAEMON_RELOAD_H
#define DAEMON_RELOAD_H

#include "daemon/load_balancer.h"

/* Fills <file> and <overlay>; <ret_config> is what both make together, not applied yet. */
int reload_first(struct load_balancer *lb, struct config **ret_config, struct error *err);

#endif
