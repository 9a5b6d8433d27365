/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a hash map or trie of the kernel's holds, as a list sorted by key: read it, and write the
 * difference to what is wanted.
 *
 * For: sync_services and sync_prefixes. Owns: the rows of a list. Must never know: what they mean.
 *
 * A row begins with its key, and its value is right behind. Both are compared as bytes.
 */
#ifndef DATAPLANE_KEYED_H
#define DATAPLANE_KEYED_H

#include <stddef.h>
#include <stdint.h>

struct sync;

/* One map. Each operation returns 0 or -errno. */
struct keyed_ops {
	size_t row_size;
	size_t key_size;
	size_t value_size;
	uint32_t most; /* rows */
	/* The row after <prev> (NULL: the first); -ENOENT after the last. */
	int (*next)(struct sync *sync, const void *prev, void *ret_row);
	int (*put)(struct sync *sync, const void *row);
	int (*remove)(struct sync *sync, const void *row); /* -ENOENT is fine */
};

struct keyed {
	void *rows; /* owned, sorted by key */
	uint32_t count;
};

void keyed_fini(struct keyed *list);
/* Sorts <count> rows, which may lie in no list yet. */
void keyed_sort(const struct keyed_ops *ops, void *rows, uint32_t count);
const void *keyed_find(const struct keyed_ops *ops, const struct keyed *list, const void *like);
/* Replaces the list by what the map holds. */
int keyed_load(const struct keyed_ops *ops, struct sync *sync, struct keyed *list);
/* Puts the rows of <wanted> that <there> has not, or has with another value. */
int keyed_write(const struct keyed_ops *ops, struct sync *sync, const struct keyed *there,
		const struct keyed *wanted);
/* Removes the rows of <there> whose key <wanted> has not. */
int keyed_remove(const struct keyed_ops *ops, struct sync *sync, const struct keyed *there,
		 const struct keyed *wanted);

#endif
