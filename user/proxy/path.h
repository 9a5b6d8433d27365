/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What path a target names, whatever way it is written.
 *
 * For: routes. Owns: nothing. May know: base. Pure.
 * "/a/%2e%2E//%61dmin" is "/admin" to most servers; a route that protects "/admin" must see it so.
 * Requests are forwarded as they came: only matching looks at the clean form.
 */
#ifndef PROXY_PATH_H
#define PROXY_PATH_H

#include "base/slice.h"

struct slice path_of(struct slice target); /* without the query */
/*
 * Percent-encodings are decoded once, also those of '/', then runs of '/' become one and dot
 * segments are resolved (RFC 3986 sections 2.1 and 5.2.4). The same slice when there is nothing to
 * do, else text in <buffer>, which has room for path.len bytes.
 */
struct slice path_clean(struct slice path, char *buffer);

#endif
