/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The process's limit on open files.
 *
 * For: the daemon's start. Owns: nothing. May know: base. Must never know: who opens them.
 */
#ifndef NET_RLIMIT_H
#define NET_RLIMIT_H

#include <stdint.h>

/* Raises the soft limit to the hard one and says what it is now; 0 or -errno. */
int rlimit_raise_files(uint64_t *ret_limit);

#endif
