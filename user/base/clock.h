/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The monotonic clock; wall time only for what people read.
 *
 * For: timers and timestamps. Owns: nothing. Knows: nobody.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

uint64_t clock_ns(void); /* CLOCK_MONOTONIC, the clock of the BPF programs */
uint64_t clock_ms(void);
uint64_t clock_wall_ms(void); /* since 1970 */

#endif
