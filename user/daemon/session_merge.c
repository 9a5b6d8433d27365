/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "daemon/session_merge.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#define NO_MORE INT64_MAX

static json_int_t id_of(const json_t *row)
{
	return json_integer_value(json_object_get(row, "id"));
}

static int by_id(const void *a, const void *b)
{
	json_int_t x = id_of(*(json_t *const *)a);
	json_int_t y = id_of(*(json_t *const *)b);

	return (x > y) - (x < y);
}

static json_int_t next_of(const json_t *body)
{
	json_int_t next = json_integer_value(json_object_get(body, "next"));

	return next > 0 ? next : NO_MORE;
}

/* What is at <*next> or above may have others before it. */
static json_t *gather(const json_t *body, const json_t *others, json_int_t *next)
{
	json_t *all = json_copy(json_object_get(body, "sessions"));
	json_t *other;
	size_t i;

	*next = next_of(body);
	json_array_foreach (others, i, other) {
		(void)json_array_extend(all, json_object_get(other, "sessions"));
		if (next_of(other) < *next)
			*next = next_of(other);
	}
	return all;
}

static json_t **sorted(const json_t *all)
{
	size_t n = json_array_size(all);
	json_t **rows = calloc(n + 1, sizeof(json_t *));

	for (size_t i = 0; rows && i < n; i++)
		rows[i] = json_array_get(all, i);
	if (rows)
		qsort(rows, n, sizeof(json_t *), by_id);
	return rows;
}

int session_merge(json_t *body, const json_t *others, size_t limit)
{
	json_int_t next;
	json_t *all = gather(body, others, &next);
	json_t **rows = all ? sorted(all) : NULL;
	json_t *kept = json_array();
	size_t n = 0;

	for (; rows && rows[n] && n < limit && id_of(rows[n]) < next; n++)
		(void)json_array_append(kept, rows[n]);
	if (rows && rows[n] && id_of(rows[n]) < next)
		next = id_of(rows[n]);
	(void)json_object_set_new(body, "sessions", kept);
	if (next != NO_MORE)
		(void)json_object_set_new(body, "next", json_integer(next));
	json_decref(all);
	if (!rows)
		return -ENOMEM;
	free(rows);
	return 0;
}

void session_add(json_t *body, const json_t *others)
{
	json_int_t count = json_integer_value(json_object_get(body, "count"));
	json_t *other;
	size_t i;

	json_array_foreach (others, i, other)
		count += json_integer_value(json_object_get(other, "count"));
	(void)json_object_set_new(body, "count", json_integer(count));
}
