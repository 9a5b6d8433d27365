/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The value of the Date field (RFC 9110 section 5.6.7), written once a second.
 *
 * For: answers of ours, and those of backends that have none. Owns: the text. May know: base.
 */
#ifndef PROXY_DATE_H
#define PROXY_DATE_H

#include <stdint.h>

#include "base/slice.h"

#define DATE_LEN 29 /* "Sun, 06 Nov 1994 08:49:37 GMT" */

/* Zeroed at first. */
struct date {
	uint64_t second; /* monotonic, and one more, in which it was written */
	char text[DATE_LEN + 1];
};

/* <now_ms> is monotonic: the wall clock is looked at in another second only. */
struct slice date_at(struct date *date, uint64_t now_ms);

#endif
