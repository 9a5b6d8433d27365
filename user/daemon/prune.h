/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Run-time changes to what the file has no longer.
 *
 * For: start and reload. Owns: nothing. May know: config.
 * A change of an object goes with the object; an object that was added at run time stays, as it was
 * never the file's.
 */
#ifndef DAEMON_PRUNE_H
#define DAEMON_PRUNE_H

#include <jansson.h>

#include "config/config.h"

/*
 * A copy of <overlay> without changes to pools, backends, services and interfaces that <before> has
 * and <after> has not. Without <before> (NULL) they are told from additions by what those must say:
 * a backend its address, a service where it listens. Appends "pools.web.backends.b1" to <dropped>
 * for each. NULL: no memory.
 */
json_t *prune_overlay(const json_t *overlay, const struct config *before,
		      const struct config *after, json_t *dropped);

#endif
