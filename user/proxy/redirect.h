/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The answer of a route that sends its clients somewhere else.
 *
 * For: clients. Owns: nothing. May know: http, wires, variables.
 */
#ifndef PROXY_REDIRECT_H
#define PROXY_REDIRECT_H

#include "proxy/buffer_pool.h"
#include "proxy/reply_edit.h"
#include "proxy/route_table.h"
#include "proxy/variables.h"

struct redirect {
	const struct route_rule *rule;
	struct variables *variables;
	const struct wire *notes; /* what the route adds to its answers; NULL: nothing */
	struct slice date;
	bool close; /* the connection ends after it */
};

/* Appends it to <out>; -EMSGSIZE when it does not fit. */
int redirect_write(const struct redirect *redirect, struct wire *out);

#endif
