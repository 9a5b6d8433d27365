/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "dataplane/keyed.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void keyed_fini(struct keyed *list)
{
	free(list->rows);
	*list = (struct keyed){0};
}

static const char *row_at(const struct keyed_ops *ops, const struct keyed *list, uint32_t i)
{
	return (const char *)list->rows + i * ops->row_size;
}

static int compare(const void *a, const void *b, void *ops)
{
	return memcmp(a, b, ((const struct keyed_ops *)ops)->key_size);
}

void keyed_sort(const struct keyed_ops *ops, void *rows, uint32_t count)
{
	qsort_r(rows, count, ops->row_size, compare, (void *)ops);
}

const void *keyed_find(const struct keyed_ops *ops, const struct keyed *list, const void *like)
{
	uint32_t first = 0;
	uint32_t end = list->count;

	while (first < end) {
		uint32_t middle = first + (end - first) / 2;
		int order = memcmp(row_at(ops, list, middle), like, ops->key_size);

		if (order == 0)
			return row_at(ops, list, middle);
		if (order < 0)
			first = middle + 1;
		else
			end = middle;
	}
	return NULL;
}

int keyed_load(const struct keyed_ops *ops, struct sync *sync, struct keyed *list)
{
	struct keyed found = {.rows = calloc(ops->most + 1ULL, ops->row_size)};
	int rc = found.rows ? 0 : -ENOMEM;

	while (rc == 0 && found.count < ops->most) {
		char *row = (char *)found.rows + found.count * ops->row_size;

		rc = ops->next(sync, found.count ? row - ops->row_size : NULL, row);
		if (rc == 0)
			found.count++;
	}
	if (rc && rc != -ENOENT) {
		keyed_fini(&found);
		return rc;
	}
	keyed_sort(ops, found.rows, found.count);
	keyed_fini(list);
	*list = found;
	return 0;
}

int keyed_write(const struct keyed_ops *ops, struct sync *sync, const struct keyed *there,
		const struct keyed *wanted)
{
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < wanted->count; i++) {
		const void *row = row_at(ops, wanted, i);
		const void *old = keyed_find(ops, there, row);

		if (!old || memcmp(old, row, ops->key_size + ops->value_size) != 0)
			rc = ops->put(sync, row);
	}
	return rc;
}

int keyed_remove(const struct keyed_ops *ops, struct sync *sync, const struct keyed *there,
		 const struct keyed *wanted)
{
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < there->count; i++) {
		const void *row = row_at(ops, there, i);

		if (!keyed_find(ops, wanted, row))
			rc = ops->remove(sync, row);
		if (rc == -ENOENT)
			rc = 0;
	}
	return rc;
}
