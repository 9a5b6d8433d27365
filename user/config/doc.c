/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "config/doc.h"

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
	struct doc **end = &parent->first;

	while (*end)
		end = &(*end)->next;
	*end = child;
}

static bool copy_into(struct doc *copy, const struct doc *doc)
{
	copy->quoted = doc->quoted;
	copy->line = doc->line;
	copy->column = doc->column;
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
