/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What most commands do: ask for a list, for one object, or for a change, and print the answer.
 *
 * For: the nouns' files. Owns: nothing. May know: cli/api.h, cli/print.h.
 */
#ifndef CLI_REQUEST_H
#define CLI_REQUEST_H

#include "cli/api.h"
#include "cli/print.h"

/* "/v1/pools/NAME"; <name> may be NULL. */
struct buffer path_of(const char *collection, const char *name);
/* "/v1/pools/POOL/backends/NAME"; <name> may be NULL. */
struct buffer path_of_backend(const char *pool, const char *name);

/* These take <path>. GET the list that is <key> in the answer, and print it. */
enum cli_exit request_list(const struct call *call, struct buffer path, const char *key,
			   const struct column *columns);
/* GET one object and print it by <print>. */
enum cli_exit request_print(const struct call *call, struct buffer path,
			    void (*print)(const json_t *answer));
/* GET one object and print it but for <except> (may be NULL). */
enum cli_exit request_show(const struct call *call, struct buffer path, const char *except);
/* Ask, and print the "count" of the answer, behind <done> if that is not "". */
enum cli_exit request_count(const struct call *call, const char *method, struct buffer path,
			    const char *done);
/* An option of every verb that changes something. */
#define DRY_RUN \
	{ \
		"dry-run", NULL, OPTION_FLAG, NULL, "change nothing: say what would move" \
	}

/* Ask for a change; <done> is what is said when it was made: "pool 'web' added". Takes <body>. */
enum cli_exit request_change(const struct call *call, const char *method, struct buffer path,
			     json_t *body, const char *done, ...)
	__attribute__((format(printf, 5, 6)));

#endif
