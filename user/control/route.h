/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * From a request target to a route: segments, query parameters, percent-decoding.
 *
 * For: answer.c. Owns: the decoded text inside a struct route_target. May know: base, http.
 */
#ifndef CONTROL_ROUTE_H
#define CONTROL_ROUTE_H

#include "control/control.h"

#define ROUTE_MAX_SEGMENTS 16

/* A target cut into decoded pieces; they point into <text>. */
struct route_target {
	char *text; /* owned: NUL-terminated pieces */
	const char *segments[ROUTE_MAX_SEGMENTS];
	unsigned n_segments;
	struct control_param params[CONTROL_MAX_PARAMS];
	unsigned n_params;
};

/* NULL when <ret_target> was filled, else what is wrong with the target, in words. */
const char *route_target_parse(const char *target, struct route_target *ret_target);
void route_target_fini(struct route_target *target);

/* Does <pattern> match? <ret_args> takes what its '*' stood for. */
bool route_match(const char *pattern, const struct route_target *target,
		 const char *ret_args[static CONTROL_MAX_ARGS]);

#endif
