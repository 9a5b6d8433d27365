/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The names of the algorithms, for configuration.
 *
 * For: config. Owns: nothing. Knows: nobody. The registry is algorithm/factory.c.
 */
#ifndef ALGORITHM_SPEC_H
#define ALGORITHM_SPEC_H

#include <stdbool.h>

bool algorithm_exists(const char *name);
/* The i-th registered name, NULL after the last. */
const char *algorithm_name(unsigned i);

#endif
