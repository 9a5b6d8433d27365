/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/doc_node.h"

/* Maps whose keys are the operator's names, not our words. */
static bool holds_names(const char *key)
{
	static const char *const words[] = {"pools",
					    "services",
					    "backends",
					    "interfaces",
					    /* of headers */ "set",
					    "add"};

	for (size_t i = 0; key && i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(key, words[i]) == 0)
			return true;
	}
	return false;
}

/* "interval_ms": 200, and null to remove it; other values do not fit the key, and keep it. */
static bool is_ms(const char *key, const json_t *value)
{
	size_t len = strlen(key);

	return len > 3 && strcmp(key + len - 3, "_ms") == 0 &&
	       (json_is_null(value) || json_is_integer(value));
}

/* "interval_ms" -> "interval", and says that the value is in ms. */
static char *key_of(const char *json_key, const json_t *value, bool is_name, bool *ret_ms)
{
	char *key = strdup(json_key);
	size_t len = strlen(json_key);

	*ret_ms = false;
	if (!key || is_name)
		return key;
	if (is_ms(json_key, value)) {
		key[len - 3] = '\0';
		*ret_ms = true;
	}
	for (char *c = key; *c; c++) {
		if (*c == '_')
			*c = '-';
	}
	return key;
}

static struct doc *scalar(const char *text, bool quoted)
{
	struct doc *doc = doc_new(DOC_SCALAR);

	if (!doc)
		return NULL;
	doc->quoted = quoted;
	doc->text = strdup(text);
	if (doc->text)
		return doc;
	doc_free(doc);
	return NULL;
}

static struct doc *number(const json_t *json, bool ms)
{
	char text[64];

	if (json_is_integer(json))
		(void)snprintf(text, sizeof(text), "%lld%s", (long long)json_integer_value(json),
			       ms ? "ms" : "");
	else
		(void)snprintf(text, sizeof(text), "%g%s", json_real_value(json), ms ? "ms" : "");
	return scalar(text, false);
}

static struct doc *convert(const json_t *json, const char *parent, bool ms, unsigned depth);

/* "interval" and "interval_ms" are one key of ours; so are "pin-path" and "pin_path". */
static struct doc *without_duplicates(struct doc *map)
{
	const struct doc *twice = NULL;

	if (!map || (doc_find_duplicate(map, &twice) == 0 && !twice))
		return map;
	doc_free(map);
	return NULL;
}

static struct doc *convert_object(const json_t *json, const char *parent, unsigned depth)
{
	struct doc *map = doc_new(DOC_MAP);
	bool names = holds_names(parent);
	const char *json_key;
	json_t *value;

	json_object_foreach ((json_t *)json, json_key, value) {
		bool ms;
		char *key = key_of(json_key, value, names, &ms);
		/* A pool may be called "backends": what a name holds are words. */
		struct doc *child = key ? convert(value, names ? NULL : key, ms, depth + 1) : NULL;

		if (!map || !child) {
			free(key);
			doc_free(child);
			doc_free(map);
			return NULL;
		}
		child->key = key;
		doc_append(map, child);
	}
	return without_duplicates(map);
}

static struct doc *convert_list(const json_t *json, unsigned depth)
{
	struct doc *list = doc_new(DOC_LIST);

	for (size_t i = 0; list && i < json_array_size(json); i++) {
		struct doc *child = convert(json_array_get(json, i), NULL, false, depth + 1);

		if (!child) {
			doc_free(list);
			return NULL;
		}
		doc_append(list, child);
	}
	return list;
}

static struct doc *convert(const json_t *json, const char *parent, bool ms, unsigned depth)
{
	if (depth > DOC_MAX_DEPTH)
		return NULL;
	switch (json_typeof(json)) {
	case JSON_OBJECT:
		return convert_object(json, parent, depth);
	case JSON_ARRAY:
		return convert_list(json, depth);
	case JSON_STRING:
		return scalar(json_string_value(json), true);
	case JSON_INTEGER:
	case JSON_REAL:
		return number(json, ms);
	case JSON_TRUE:
		return scalar("true", false);
	case JSON_FALSE:
		return scalar("false", false);
	case JSON_NULL:
		break;
	}
	return doc_new(DOC_NULL);
}

struct doc *doc_from_json(const json_t *json, struct report *report)
{
	struct doc *doc = convert(json, NULL, false, 0);

	if (!doc)
		report_add(report, 0, 0, "", "nested too deeply, a key twice, or out of memory");
	return doc;
}

static json_t *to_json(const struct doc *doc, const char *parent);

static void set_entry(json_t *object, const struct doc *child, bool name)
{
	json_t *value = to_json(child, name ? NULL : child->key);
	char *key = strdup(child->key);

	for (char *c = key; c && *c && !name; c++) {
		if (*c == '-')
			*c = '_';
	}
	if (key)
		(void)json_object_set_new(object, key, value);
	else
		json_decref(value);
	free(key);
}

static json_t *to_json(const struct doc *doc, const char *parent)
{
	json_t *json;

	if (doc->kind == DOC_NULL)
		return json_null();
	if (doc->kind == DOC_SCALAR)
		return json_string(doc->text);
	json = doc->kind == DOC_MAP ? json_object() : json_array();
	for (const struct doc *child = doc->first; child; child = child->next) {
		if (doc->kind == DOC_MAP)
			set_entry(json, child, holds_names(parent));
		else
			(void)json_array_append_new(json, to_json(child, NULL));
	}
	return json;
}

json_t *doc_to_json(const struct doc *doc)
{
	return to_json(doc, NULL);
}
