/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "base/strtable.h"

/* Words longer than this are never "near" anything. */
#define NEAR_MAX 32

const char *strtable_name(const struct strtable *table, int value)
{
	if (value < 0 || value >= table->count || !table->names[value])
		return "?";
	return table->names[value];
}

int strtable_value(const struct strtable *table, struct slice word)
{
	for (int i = 0; i < table->count; i++) {
		if (table->names[i] && slice_eq(word, slice_of(table->names[i])))
			return i;
	}
	return -1;
}

static int min3(int a, int b, int c)
{
	int m = a < b ? a : b;

	return m < c ? m : c;
}

/* Levenshtein distance with one row. */
static int distance(struct slice a, struct slice b)
{
	int row[NEAR_MAX + 1];

	for (int j = 0; j <= (int)b.len; j++)
		row[j] = j;
	for (int i = 1; i <= (int)a.len; i++) {
		int diagonal = row[0];

		row[0] = i;
		for (int j = 1; j <= (int)b.len; j++) {
			int above = row[j];

			row[j] = min3(row[j] + 1, row[j - 1] + 1,
				      diagonal + (a.ptr[i - 1] != b.ptr[j - 1]));
			diagonal = above;
		}
	}
	return row[b.len];
}

const char *strtable_nearest(const char *const *words, int count, struct slice word)
{
	const char *best = NULL;
	int best_distance = 3;

	if (word.len > NEAR_MAX)
		return NULL;
	for (int i = 0; i < count; i++) {
		struct slice candidate = slice_of(words[i]);
		int d;

		if (candidate.len == 0 || candidate.len > NEAR_MAX)
			continue;
		d = distance(word, candidate);
		if (d < best_distance && d < (int)candidate.len) {
			best = words[i];
			best_distance = d;
		}
	}
	return best;
}
