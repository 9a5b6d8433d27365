/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/addr.h"
#include "config/doc_node.h"

static void drop(struct doc *parent, struct doc *child)
{
	struct doc **link = &parent->first;

	while (*link != child)
		link = &(*link)->next;
	parent->last = NULL;
	*link = child->next;
	child->next = NULL;
	doc_free(child);
}

/* Puts <fresh> in <old>'s place. */
static void replace(struct doc *parent, struct doc *old, struct doc *fresh)
{
	fresh->next = old->next;
	old->next = fresh;
	drop(parent, old);
}

/* RFC 7396: nulls in what is new mean "not there". */
static struct doc *copy_without_nulls(const struct doc *doc)
{
	struct doc *copy = doc_copy(doc);

	if (!copy)
		return NULL;
	for (struct doc *child = copy->first, *next; child; child = next) {
		struct doc *clean;

		next = child->next;
		if (child->kind == DOC_NULL) {
			drop(copy, child);
			continue;
		}
		clean = child->kind == DOC_MAP ? copy_without_nulls(child) : NULL;
		if (clean)
			replace(copy, child, clean);
	}
	return copy;
}

static const char *entry_name(const struct doc *entry)
{
	const struct doc *name = doc_get(entry, "name");

	if (!name)
		name = doc_get(entry, "address");
	return name && name->text ? name->text : "";
}

/* Two spellings of one address are one name. */
static bool same_name(const char *a, const char *b)
{
	struct addr left;
	struct addr right;

	if (strcmp(a, b) == 0)
		return true;
	return !addr_parse(slice_of(a), false, &left) && !addr_parse(slice_of(b), false, &right) &&
	       addr_equal(&left, &right);
}

static struct doc *find(const struct doc *base, const char *key)
{
	if (base->kind == DOC_MAP)
		return doc_get(base, key);
	for (struct doc *child = base->first; child; child = child->next) {
		if (same_name(entry_name(child), key))
			return child;
	}
	return NULL;
}

/* A list's entry carries its name as a field. */
static int add_name(struct doc *entry, const char *name)
{
	struct doc *field;

	if (entry->kind != DOC_MAP || doc_get(entry, "name"))
		return 0;
	field = doc_new(DOC_SCALAR);
	if (!field)
		return -ENOMEM;
	field->key = strdup("name");
	field->text = strdup(name);
	field->quoted = true;
	field->next = entry->first;
	entry->first = field;
	return field->key && field->text ? 0 : -ENOMEM;
}

static int add(struct doc *base, const struct doc *patch)
{
	struct doc *fresh = copy_without_nulls(patch);

	if (!fresh)
		return -ENOMEM;
	if (base->kind == DOC_LIST) {
		free(fresh->key);
		fresh->key = NULL;
		if (add_name(fresh, patch->key) < 0) {
			doc_free(fresh);
			return -ENOMEM;
		}
	}
	doc_append(base, fresh);
	return 0;
}

static bool lists_maps(const struct doc *doc)
{
	if (doc->kind != DOC_LIST)
		return false;
	for (const struct doc *child = doc->first; child; child = child->next) {
		if (child->kind != DOC_MAP)
			return false;
	}
	return true;
}

static int merge_child(struct doc *base, const struct doc *patch)
{
	struct doc *old = find(base, patch->key);
	struct doc *fresh;

	if (patch->kind == DOC_NULL) {
		if (old)
			drop(base, old);
		return 0;
	}
	if (!old)
		return add(base, patch);
	if (patch->kind == DOC_MAP && (old->kind == DOC_MAP || lists_maps(old)))
		return doc_merge(old, patch);
	fresh = copy_without_nulls(patch);
	if (!fresh)
		return -ENOMEM;
	replace(base, old, fresh);
	return 0;
}

int doc_merge(struct doc *base, const struct doc *overlay)
{
	if (overlay->kind != DOC_MAP)
		return -EINVAL;
	for (const struct doc *patch = overlay->first; patch; patch = patch->next) {
		int r = patch->key ? merge_child(base, patch) : -EINVAL;

		if (r < 0)
			return r;
	}
	return 0;
}
