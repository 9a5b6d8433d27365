/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * enum <-> word, both directions from one table.
 *
 * For: the words of configuration, CLI and API. Owns: nothing. Knows: slices.
 *
 *	static const char *const names[] = {[HOOK_AUTO] = "auto", ...};
 *	const struct strtable hook_names = STRTABLE(names);
 */
#ifndef BASE_STRTABLE_H
#define BASE_STRTABLE_H

#include "base/slice.h"

struct strtable {
	const char *const *names; /* by value; NULL for values without a word */
	int count;
};

#define STRTABLE(array) \
	{ \
		(array), (int)(sizeof(array) / sizeof((array)[0])) \
	}

/* The word, or "?" for a value outside the table. */
const char *strtable_name(const struct strtable *table, int value);
/* The value, or -1. */
int strtable_value(const struct strtable *table, struct slice word);
/* The nearest word by edit distance, for "did you mean"; NULL when none is near. */
const char *strtable_nearest(const char *const *words, int count, struct slice word);

#endif
