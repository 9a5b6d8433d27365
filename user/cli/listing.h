/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Long lists that lbd gives page by page, and the filters that choose from them.
 *
 * For: flow.c and session.c. Owns: nothing. May know: cli/request.h.
 */
#ifndef CLI_LISTING_H
#define CLI_LISTING_H

#include "cli/request.h"

struct listing {
	const char *collection; /* of the API, and the list's key in its answer */
	const struct column *columns;
	const char *none; /* what is said of an empty one */
};

/* "/v1/COLLECTION" with the query that the verb's options make. */
struct buffer listing_path(const struct call *call, const char *collection);
/* Prints as many as --limit says, without it LISTING_SHOWN. */
#define LISTING_SHOWN 1000
enum cli_exit listing_show(const struct call *call, const struct listing *listing);
/* One of the filters was given, or --all. */
bool listing_chosen(const struct call *call);

extern const struct option listing_show_options[];
extern const struct option listing_count_options[];
extern const struct option listing_kill_options[];

#endif
