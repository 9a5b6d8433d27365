/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "config/keys.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/parse.h"

#define MAX_KEYS     48
#define NAME_MAX_LEN 63

void complain(struct build *build, const struct place *place, const char *fmt, ...)
{
	char text[384];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	report_add(build->report, place->doc ? place->doc->line : 0,
		   place->doc ? place->doc->column : 0, place->path, "%s", text);
}

void complain_key(struct build *build, const struct place *place, const char *fmt, ...)
{
	const struct doc *doc = place->doc;
	char text[384];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	report_add(build->report, doc->key_line ? doc->key_line : doc->line,
		   doc->key_line ? doc->key_column : doc->column, place->path, "%s", text);
}

struct place place_child(const struct place *parent, const struct doc *child, const char *name)
{
	struct place place = {.doc = child};

	(void)snprintf(place.path, sizeof(place.path), "%.120s%s%.64s", parent->path,
		       parent->path[0] ? "." : "", name);
	return place;
}

struct place place_at_key(const struct place *object, const char *key)
{
	const struct doc *node = doc_get(object->doc, key);

	return place_child(object, node ? node : object->doc, key);
}

static const char *kind_text(enum doc_kind kind)
{
	static const char *const texts[] = {[DOC_NULL] = "nothing",
					    [DOC_SCALAR] = "a single value",
					    [DOC_LIST] = "a list",
					    [DOC_MAP] = "keys and values"};

	return texts[kind];
}

static const char *last_word(const struct place *place)
{
	const char *dot = strrchr(place->path, '.');

	return dot ? dot + 1 : place->path;
}

bool expect_kind(struct build *build, const struct place *place, enum doc_kind kind)
{
	if (place->doc->kind == kind)
		return true;
	complain(build, place, "'%s' must be %s, not %s", last_word(place), kind_text(kind),
		 kind_text(place->doc->kind));
	return false;
}

bool expect_name(struct build *build, const struct place *place, const char *name)
{
	size_t len = strlen(name);

	if (len >= 1 && len <= NAME_MAX_LEN &&
	    strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
		    len)
		return true;
	complain_key(build, place,
		     "'%.64s' is not a name: use 1 to %d letters, digits, '.', '_' or '-'", name,
		     NAME_MAX_LEN);
	return false;
}

uint32_t doc_count(const struct doc *doc)
{
	uint32_t n = 0;

	for (const struct doc *child = doc ? doc->first : NULL; child; child = child->next)
		n++;
	return n;
}

void *build_array(struct build *build, uint32_t n, size_t size)
{
	void *array = calloc((size_t)n + 1, size);

	if (!array)
		report_add(build->report, 0, 0, "", "out of memory");
	return array;
}

/* ---- Values --------------------------------------------------------------------------------- */

static void read_text(struct build *build, const struct place *place, const struct key *key,
		      char *out)
{
	const char *text = place->doc->text;
	bool control = false;

	for (const char *c = text; *c; c++)
		control = control || (unsigned char)*c < ' ' || *c == 0x7f;
	if (!*text)
		complain(build, place, "'%s' is empty: give a value, or leave it out", key->name);
	else if (control)
		complain(build, place, "'%s' holds a control character: remove it", key->name);
	else if (strlen(text) >= key->max)
		complain(build, place, "'%s' is too long: at most %llu bytes", key->name,
			 (unsigned long long)key->max - 1);
	else
		(void)snprintf(out, key->max, "%s", text);
}

static void read_number(struct build *build, const struct place *place, const struct key *key,
			uint32_t *out)
{
	uint64_t value;

	if (parse_u64(slice_of(place->doc->text), &value) && value >= key->min && value <= key->max)
		*out = (uint32_t)value;
	else
		complain(build, place, "'%s: %.64s': must be a number from %llu to %llu", key->name,
			 place->doc->text, (unsigned long long)key->min,
			 (unsigned long long)key->max);
}

static void read_duration(struct build *build, const struct place *place, const struct key *key,
			  uint32_t *out)
{
	uint32_t ms;

	if (!parse_duration_ms(slice_of(place->doc->text), &ms))
		complain(build, place, "'%s: %.64s': must be a duration like 200ms, 2s, 5m or 1h",
			 key->name, place->doc->text);
	else if (ms < key->min || ms > key->max)
		complain(build, place, "'%s: %.64s': must be from %llums to %llums", key->name,
			 place->doc->text, (unsigned long long)key->min,
			 (unsigned long long)key->max);
	else
		*out = ms;
}

static void read_word(struct build *build, const struct place *place, const struct key *key,
		      int *out)
{
	int value = strtable_value(key->words, slice_of(place->doc->text));
	const char *near;
	char all[160] = "";
	size_t used = 0;

	if (value >= 0) {
		*out = value;
		return;
	}
	for (int i = 0; i < key->words->count && used < sizeof(all); i++)
		used += (size_t)snprintf(all + used, sizeof(all) - used, "%s%s", i ? ", " : "",
					 key->words->names[i]);
	near = strtable_nearest(key->words->names, key->words->count, slice_of(place->doc->text));
	if (near)
		complain(build, place, "'%s: %.64s' is unknown: did you mean '%s'?", key->name,
			 place->doc->text, near);
	else
		complain(build, place, "'%s: %.64s' is unknown: must be one of %s", key->name,
			 place->doc->text, all);
}

static void read_bool(struct build *build, const struct place *place, const struct key *key,
		      bool *out)
{
	if (strcmp(place->doc->text, "true") == 0)
		*out = true;
	else if (strcmp(place->doc->text, "false") == 0)
		*out = false;
	else
		complain(build, place, "'%s: %.64s': must be true or false", key->name,
			 place->doc->text);
}

void key_read(struct build *build, const struct place *place, const struct key *key, void *out)
{
	void *field = (char *)out + key->offset;

	if (key->kind == KEY_OBJECT) {
		key->read(build, place, field);
		return;
	}
	if (key->kind == KEY_LATER) {
		complain_key(build, place,
			     "'%s' is known but not supported by this version: remove it",
			     key->name);
		return;
	}
	if (!expect_kind(build, place, DOC_SCALAR))
		return;
	switch (key->kind) {
	case KEY_TEXT:
		read_text(build, place, key, field);
		break;
	case KEY_NUMBER:
		read_number(build, place, key, field);
		break;
	case KEY_DURATION:
		read_duration(build, place, key, field);
		break;
	case KEY_WORD:
		read_word(build, place, key, field);
		break;
	case KEY_BOOL:
		read_bool(build, place, key, field);
		break;
	case KEY_OBJECT:
	case KEY_LATER:
		break;
	}
}

/* ---- Objects -------------------------------------------------------------------------------- */

static const struct key *find(const struct key *keys, size_t n_keys, const char *name)
{
	for (size_t i = 0; i < n_keys; i++) {
		if (strcmp(keys[i].name, name) == 0)
			return &keys[i];
	}
	return NULL;
}

static void complain_unknown(struct build *build, const struct place *place, const struct key *keys,
			     size_t n_keys)
{
	const char *names[MAX_KEYS];
	const char *near;

	for (size_t i = 0; i < n_keys && i < MAX_KEYS; i++)
		names[i] = keys[i].name;
	near = strtable_nearest(names, (int)n_keys, slice_of(place->doc->key));
	if (near)
		complain_key(build, place, "unknown key '%.64s': did you mean '%s'?",
			     place->doc->key, near);
	else
		complain_key(build, place, "unknown key '%.64s': see the README for the words",
			     place->doc->key);
}

void keys_read(struct build *build, const struct place *place, const struct key *keys,
	       size_t n_keys, void *out)
{
	/* "web:" with nothing below it has every default. */
	if (place->doc->kind == DOC_NULL || !expect_kind(build, place, DOC_MAP))
		return;
	for (const struct doc *child = place->doc->first; child; child = child->next) {
		const struct key *key = find(keys, n_keys, child->key);
		struct place at = place_child(place, child, child->key);

		if (key)
			key_read(build, &at, key, out);
		else
			complain_unknown(build, &at, keys, n_keys);
	}
}
