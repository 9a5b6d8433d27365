/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Older processes that still have connections, since an upgrade, and have not told which.
 *
 * For: verbs whose answer is without those. Owns: nothing. May know: cli/cli.h.
 */
#ifndef CLI_DRAINING_H
#define CLI_DRAINING_H

#include <jansson.h>

/* Says on stderr which there are in the "draining" of <answer>, so that nobody takes the answer
 * for all there is. */
void draining_note(const json_t *answer);

#endif
