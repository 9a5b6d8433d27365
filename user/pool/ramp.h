/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Slow start: how much of its weight a backend has that came up a moment ago.
 *
 * For: the pool. Owns: nothing. Knows: nobody.
 * A weight of 1 must be able to be less than others of 1, so while somebody in a pool is ramping
 * all its weights are multiplied, as far as BACKEND_MAX_WEIGHT allows.
 */
#ifndef POOL_RAMP_H
#define POOL_RAMP_H

#include <stdint.h>

#define RAMP_STEPS    16 /* of the way up; the last is all of the weight */
#define RAMP_LEAST_MS 20 /* between two looks at it */

/* 1..RAMP_STEPS, <elapsed_ms> after it came up. */
uint32_t ramp_step(uint64_t elapsed_ms, uint32_t total_ms);
/* What the weights of a pool are multiplied by, of which <max_weight> is the highest. */
uint32_t ramp_scale(uint32_t max_weight);
/* Never 0. */
uint32_t ramp_weight(uint32_t weight, uint32_t scale, uint32_t step);

#endif
