/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which route a request takes: the first whose host, path and method fit.
 *
 * For: clients, traces. Owns: nothing. May know: http, route tables. Pure.
 * A path fits when it begins with the route's, byte for byte: "/v1" takes "/v10" too, "/v1/" does
 * not. It is compared in its clean form (path.h), so that "/%61dmin" and "/x/../admin" do not slip
 * past a route for "/admin".
 */
#ifndef PROXY_ROUTE_H
#define PROXY_ROUTE_H

#include "http/message.h"
#include "proxy/route_table.h"

/* The index of the route, or -ENOENT. Looks at the method, authority and target of <head>; the
 * authority may have a port and any case. */
int route_find(const struct route_table *table, const struct http_head *head);
/* The same where a name is all there is, or not even that: of a connection. */
int route_find_host(const struct route_table *table, struct slice host);
/* "Example.com.:80" is "Example.com"; "[::1]:80" is "[::1]". */
struct slice route_host(struct slice authority);

#endif
