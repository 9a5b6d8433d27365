/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Small fast random numbers: jitter and sampling, never secrets.
 *
 * For: health phases, random-two. Owns: nothing. Knows: nobody.
 */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include <stdint.h>

uint64_t random_u64(void);	       /* per thread state, seeded from getrandom(2) */
uint32_t random_below(uint32_t bound); /* 0..bound-1; 0 for bound 0 */

#endif
