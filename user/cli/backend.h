/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How pools and backends are listed, for the commands that list them beside something else.
 *
 * For: pool.c, backend.c, status.c. Owns: nothing. May know: cli/print.h.
 */
#ifndef CLI_BACKEND_H
#define CLI_BACKEND_H

#include "cli/print.h"

extern const struct column backend_columns[]; /* the pool is the first */
void print_pools(json_t *pools);	      /* a list; adds a key to its objects */

#endif
