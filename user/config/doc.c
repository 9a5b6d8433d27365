/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "config/doc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/doc_node.h"

struct doc *doc_new(enum doc_kind kind)
{
	struct doc *doc = calloc(1, sizeof(*doc));

	if (doc)
		doc->kind = kind;
	return doc;
}

void doc_free(struct doc *doc)
{
	while (doc) {
		struct doc *next = doc->next;

		doc_free(doc->first);
		free(doc->text);
		free(doc->key);
		free(doc);
		doc = next;
	}
}

void doc_append(struct doc *parent, struct doc *child)
{
	struct doc *last = parent->last ? parent->last : parent->first;

	while (last && last->next)
		last = last->next;
	if (last)
		last->next = child;
	else
		parent->first = child;
	parent->last = child;
}

static bool copy_into(struct doc *copy, const struct doc *doc)
{
	copy->quoted = doc->quoted;
	copy->line = doc->line;
	copy->column = doc->column;
	copy->key_line = doc->key_line;
	copy->key_column = doc->key_column;
	if (doc->text && !(copy->text = strdup(doc->text)))
		return false;
	if (doc->key && !(copy->key = strdup(doc->key)))
		return false;
	for (const struct doc *child = doc->first; child; child = child->next) {
		struct doc *mine = doc_copy(child);

		if (!mine)
			return false;
		doc_append(copy, mine);
	}
	return true;
}

struct doc *doc_copy(const struct doc *doc)
{
	struct doc *copy = doc_new(doc->kind);

	if (!copy || copy_into(copy, doc))
		return copy;
	doc_free(copy);
	return NULL;
}

struct doc *doc_get(const struct doc *map, const char *key)
{
	if (!map || map->kind != DOC_MAP)
		return NULL;
	for (struct doc *child = map->first; child; child = child->next) {
		if (child->key && strcmp(child->key, key) == 0)
			return child;
	}
	return NULL;
}

/* ---- Duplicate keys: sorted, because a file may hold a million ------------------------------- */

struct entry {
	const struct doc *node;
	size_t order;
};

static int compare(const void *left, const void *right)
{
	const struct entry *a = left;
	const struct entry *b = right;
	int order = strcmp(a->node->key, b->node->key);

	if (order == 0)
		order = a->order < b->order ? -1 : 1;
	return order;
}

static const struct doc *first_duplicate(const struct entry *entries, size_t count)
{
	const struct entry *found = NULL;

	for (size_t i = 1; i < count; i++) {
		if (strcmp(entries[i].node->key, entries[i - 1].node->key) == 0 &&
		    (!found || entries[i].order < found->order))
			found = &entries[i];
	}
	return found ? found->node : NULL;
}

int doc_find_duplicate(const struct doc *map, const struct doc **ret_duplicate)
{
	struct entry *entries;
	size_t count = 0;

	for (const struct doc *child = map->first; child; child = child->next)
		count++;
	entries = calloc(count + 1, sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	count = 0;
	for (const struct doc *child = map->first; child; child = child->next) {
		entries[count].node = child;
		entries[count].order = count;
		count++;
	}
	qsort(entries, count, sizeof(*entries), compare);
	*ret_duplicate = first_duplicate(entries, count);
	free(entries);
	return 0;
}
