/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Numbers, durations and sizes from text, all of it or nothing.
 *
 * For: configuration, command lines, API. Owns: nothing. Knows: slices.
 * Every function returns false and leaves its output untouched when the text is not wholly of
 * the form, or the value does not fit.
 */
#ifndef BASE_PARSE_H
#define BASE_PARSE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

bool parse_u64(struct slice text, uint64_t *ret_value); /* 1*DIGIT */
/* "200ms", "2s", "5m", "1h"; a bare number is refused (but "0"). At most 49 days. */
bool parse_duration_ms(struct slice text, uint32_t *ret_ms);

#endif
