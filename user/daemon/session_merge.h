/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One list of sessions from those of several processes, each a page in the order of ids.
 *
 * For: api_session.c. Owns: nothing. Pure. Knows: JSON.
 */
#ifndef DAEMON_SESSION_MERGE_H
#define DAEMON_SESSION_MERGE_H

#include <jansson.h>

/* <body> and each of <others>: {"sessions": [{"id", ...}], "next"}, with "next" where there are
 * more. <body> gets the first <limit> of all that are known to have no other before them. 0 or
 * -ENOMEM. */
int session_merge(json_t *body, const json_t *others, size_t limit);
/* Adds "count" of <others> to that of <body>. */
void session_add(json_t *body, const json_t *others);

#endif
