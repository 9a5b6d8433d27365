/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The answer to a dry run, for people.
 *
 * For: request.c. Owns: nothing. May know: cli/print.h.
 */
#ifndef CLI_MOVES_H
#define CLI_MOVES_H

#include <jansson.h>

/* What a change would move, pool by pool. */
void print_moves(const json_t *answer);

#endif
