/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which bytes are UTF-8.
 *
 * For: refusing files that are not, and keeping messages printable. Owns: nothing.
 * Knows: slices.
 */
#ifndef CONFIG_UTF8_H
#define CONFIG_UTF8_H

#include "base/slice.h"

/* The length of the character that <text> begins with, 1..4; 0 when it is none (RFC 3629). */
size_t utf8_length(struct slice text);
/* Replaces what is not UTF-8 or is a control character by '?', in place. */
void utf8_make_printable(char *text);

#endif
