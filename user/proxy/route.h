/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which pool a request goes to: the first route whose host and path prefix fit.
 *
 * For: clients. Owns: nothing. May know: base, the service's spec. Pure.
 */
#ifndef PROXY_ROUTE_H
#define PROXY_ROUTE_H

#include "base/slice.h"
#include "proxy/snapshot.h"

/* The index of the route, or -ENOENT. <authority> may have a port and any case. */
int route_find(const struct service_spec *spec, struct slice authority, struct slice target);

#endif
