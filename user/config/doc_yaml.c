/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/slice.h"
#include "config/doc_node.h"
#include "config/utf8.h"

#define FILE_MAX_SIZE (4U << 20)

struct reader {
	yaml_parser_t parser;
	yaml_event_t event;
	struct report *report;
	struct slice text;
	bool failed;
};

static void fail(struct reader *reader, const yaml_mark_t *mark, const char *what)
{
	if (!reader->failed)
		report_add(reader->report, (uint32_t)mark->line + 1, (uint32_t)mark->column + 1, "",
			   "%s", what);
	reader->failed = true;
}

static struct slice get_line(struct slice text, size_t number)
{
	const char *end;

	for (; number > 0 && (end = memchr(text.ptr, '\n', text.len)); number--)
		text = (struct slice){end + 1, text.len - (size_t)(end + 1 - text.ptr)};
	end = number == 0 ? memchr(text.ptr, '\n', text.len) : text.ptr;
	return (struct slice){text.ptr, end ? (size_t)(end - text.ptr) : text.len};
}

static bool is_one_of(const char *set, char c)
{
	return c != '\0' && strchr(set, c);
}

/* "[::]" or "[fd00::1]": what YAML takes for a list, and a person for an address. */
static bool find_bare_ipv6(struct slice line, size_t *ret_column)
{
	for (size_t i = 0; i < line.len; i++) {
		unsigned colons = 0;
		size_t j = i + 1;

		if (line.ptr[i] != '[' || (i > 0 && !is_one_of(" ,{[:", line.ptr[i - 1])))
			continue;
		for (; j < line.len && is_one_of("0123456789abcdefABCDEF:.", line.ptr[j]); j++)
			colons += line.ptr[j] == ':';
		if (j < line.len && line.ptr[j] == ']' && colons >= 2) {
			*ret_column = i;
			return true;
		}
	}
	return false;
}

/* libyaml's own words, or what to do about the commonest mistake. */
static void fail_syntax(struct reader *reader)
{
	const yaml_parser_t *parser = &reader->parser;
	yaml_mark_t mark = parser->problem_mark;
	yaml_mark_t bare = {.line = mark.line};
	char text[256];

	/* The list ends on the address's line; what follows it may be noticed on the next. */
	if (find_bare_ipv6(get_line(reader->text, bare.line), &bare.column) ||
	    (bare.line-- > 0 && parser->problem_mark.column == 0 &&
	     find_bare_ipv6(get_line(reader->text, bare.line), &bare.column))) {
		fail(reader, &bare, "quote IPv6 addresses: \"[fd00::1]:80\"");
		return;
	}
	(void)snprintf(text, sizeof(text), "%s%s%s", parser->problem ? parser->problem : "not YAML",
		       parser->context ? " " : "", parser->context ? parser->context : "");
	fail(reader, &mark, text);
}

static yaml_mark_t mark_of(struct slice text, size_t offset)
{
	yaml_mark_t mark = {0};

	for (size_t i = 0; i < offset; i++) {
		bool newline = text.ptr[i] == '\n';

		mark.line += newline;
		/* Bytes that go on a character are no column of their own. */
		mark.column = newline ? 0 : mark.column + ((text.ptr[i] & 0xc0) != 0x80);
	}
	return mark;
}

/* libyaml would take UTF-16, and gives no place for what it cannot read. */
static bool check_bytes(struct reader *reader)
{
	struct slice rest = reader->text;

	while (rest.len > 0) {
		unsigned char first = (unsigned char)*rest.ptr;
		bool control = (first < ' ' && !is_one_of("\t\n\r", *rest.ptr)) || first == 0x7f;
		size_t len = control ? 0 : utf8_length(rest);

		if (len == 0) {
			yaml_mark_t mark = mark_of(reader->text, reader->text.len - rest.len);

			fail(reader, &mark,
			     first == 0 ? "a NUL byte is not allowed: save the file as UTF-8"
			     : control	? "a control character is not allowed: remove it"
					: "not UTF-8: save the file as UTF-8");
			return false;
		}
		rest = (struct slice){rest.ptr + len, rest.len - len};
	}
	return true;
}

static bool next(struct reader *reader)
{
	if (reader->failed)
		return false;
	yaml_event_delete(&reader->event);
	if (yaml_parser_parse(&reader->parser, &reader->event))
		return true;
	fail_syntax(reader);
	return false;
}

static bool refused(struct reader *reader)
{
	const yaml_event_t *event = &reader->event;
	const yaml_char_t *anchor = NULL;
	const yaml_char_t *tag = NULL;

	if (event->type == YAML_SCALAR_EVENT) {
		anchor = event->data.scalar.anchor;
		tag = event->data.scalar.tag;
	} else if (event->type == YAML_SEQUENCE_START_EVENT) {
		anchor = event->data.sequence_start.anchor;
		tag = event->data.sequence_start.tag;
	} else if (event->type == YAML_MAPPING_START_EVENT) {
		anchor = event->data.mapping_start.anchor;
		tag = event->data.mapping_start.tag;
	}
	if (anchor || event->type == YAML_ALIAS_EVENT)
		fail(reader, &event->start_mark,
		     "anchors and aliases are not allowed: write it out");
	else if (tag)
		fail(reader, &event->start_mark, "tags are not allowed");
	return reader->failed;
}

static struct doc *node_at(struct reader *reader, enum doc_kind kind)
{
	struct doc *doc = doc_new(kind);

	if (!doc) {
		fail(reader, &reader->event.start_mark, "out of memory");
		return NULL;
	}
	doc->line = (uint32_t)reader->event.start_mark.line + 1;
	doc->column = (uint32_t)reader->event.start_mark.column + 1;
	return doc;
}

static struct doc *read_scalar(struct reader *reader)
{
	const char *value = (const char *)reader->event.data.scalar.value;
	bool plain = reader->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	struct doc *doc = node_at(reader, DOC_SCALAR);

	if (!doc)
		return NULL;
	if (strlen(value) != reader->event.data.scalar.length)
		fail(reader, &reader->event.start_mark, "a NUL byte is not allowed");
	doc->quoted = !plain;
	if (plain && (*value == '\0' || strcmp(value, "~") == 0 || strcmp(value, "null") == 0))
		doc->kind = DOC_NULL;
	doc->text = strdup(value);
	if (!doc->text)
		fail(reader, &reader->event.start_mark, "out of memory");
	return doc;
}

static struct doc *read_node(struct reader *reader, unsigned depth);

static struct doc *read_list(struct reader *reader, unsigned depth)
{
	struct doc *list = node_at(reader, DOC_LIST);

	while (list && next(reader) && reader->event.type != YAML_SEQUENCE_END_EVENT) {
		struct doc *child = read_node(reader, depth + 1);

		if (child)
			doc_append(list, child);
	}
	return list;
}

static bool key_allowed(struct reader *reader)
{
	const yaml_event_t *event = &reader->event;

	if (refused(reader))
		return false;
	if (event->type != YAML_SCALAR_EVENT)
		fail(reader, &event->start_mark,
		     "a key must be a word (quote IPv6 addresses: \"[::]:80\")");
	else if (event->data.scalar.length == 0)
		fail(reader, &event->start_mark, "a key is empty");
	else if (memchr(event->data.scalar.value, 0, event->data.scalar.length))
		fail(reader, &event->start_mark, "a NUL byte is not allowed");
	return !reader->failed;
}

static void check_duplicates(struct reader *reader, const struct doc *map)
{
	const struct doc *twice = NULL;
	yaml_mark_t mark = {0};
	char text[128];

	if (doc_find_duplicate(map, &twice) < 0)
		fail(reader, &mark, "out of memory");
	if (!twice)
		return;
	mark.line = twice->key_line - 1;
	mark.column = twice->key_column - 1;
	(void)snprintf(text, sizeof(text), "'%.64s' is here already: keep one of the two",
		       twice->key);
	fail(reader, &mark, text);
}

static struct doc *read_map(struct reader *reader, unsigned depth)
{
	struct doc *map = node_at(reader, DOC_MAP);

	while (map && next(reader) && reader->event.type != YAML_MAPPING_END_EVENT) {
		yaml_mark_t mark = reader->event.start_mark;
		struct doc *child;
		char *key;

		if (!key_allowed(reader))
			break;
		key = strdup((const char *)reader->event.data.scalar.value);
		child = key && next(reader) ? read_node(reader, depth + 1) : NULL;
		if (!child) {
			free(key);
			break;
		}
		child->key = key;
		child->key_line = (uint32_t)mark.line + 1;
		child->key_column = (uint32_t)mark.column + 1;
		doc_append(map, child);
	}
	if (map && !reader->failed)
		check_duplicates(reader, map);
	return map;
}

/* The event of the node's beginning was read. NULL or half-made when <reader> failed. */
static struct doc *read_node(struct reader *reader, unsigned depth)
{
	if (refused(reader))
		return NULL;
	if (depth > DOC_MAX_DEPTH) {
		fail(reader, &reader->event.start_mark, "nested too deeply");
		return NULL;
	}
	switch (reader->event.type) {
	case YAML_SCALAR_EVENT:
		return read_scalar(reader);
	case YAML_SEQUENCE_START_EVENT:
		return read_list(reader, depth);
	case YAML_MAPPING_START_EVENT:
		return read_map(reader, depth);
	default:
		fail(reader, &reader->event.start_mark, "not a value");
		return NULL;
	}
}

/* The tree is NULL for an empty stream. */
static struct doc *read_stream(struct reader *reader)
{
	struct doc *doc = NULL;

	if (!next(reader) || !next(reader)) /* stream start, then document start or stream end */
		return NULL;
	if (reader->event.type == YAML_STREAM_END_EVENT)
		return node_at(reader, DOC_MAP);
	if (next(reader))
		doc = read_node(reader, 0);
	if (next(reader) && next(reader) && reader->event.type != YAML_STREAM_END_EVENT)
		fail(reader, &reader->event.start_mark, "a second document is not allowed");
	return doc;
}

struct doc *doc_from_yaml(const char *text, size_t len, const char *name, struct report *report)
{
	struct reader reader = {.report = report, .text = {len ? text : "", len}};
	struct doc *doc = NULL;

	report->file = name;
	if (len > FILE_MAX_SIZE) {
		report_add(report, 0, 0, "", "larger than %u MB", FILE_MAX_SIZE >> 20);
		return NULL;
	}
	if (!yaml_parser_initialize(&reader.parser)) {
		report_add(report, 0, 0, "", "out of memory");
		return NULL;
	}
	yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&reader.parser, (const unsigned char *)reader.text.ptr, len);
	if (check_bytes(&reader))
		doc = read_stream(&reader);
	yaml_event_delete(&reader.event);
	yaml_parser_delete(&reader.parser);
	if (!reader.failed)
		return doc;
	doc_free(doc);
	return NULL;
}

static char *read_all(FILE *file, size_t *ret_len)
{
	char *text = malloc(FILE_MAX_SIZE + 1);
	size_t len;

	if (!text)
		return NULL;
	len = fread(text, 1, FILE_MAX_SIZE + 1, file);
	if (ferror(file) || len > FILE_MAX_SIZE) {
		if (len > FILE_MAX_SIZE)
			errno = EFBIG;
		free(text);
		return NULL;
	}
	*ret_len = len;
	return text;
}

struct doc *doc_from_yaml_file(const char *path, struct report *report)
{
	FILE *file = fopen(path, "re");
	struct doc *doc = NULL;
	char *text = NULL;
	size_t len;

	if (file)
		text = read_all(file, &len);
	if (!text)
		report_add(report, 0, 0, "", "cannot read '%s': %s", path, strerror(errno));
	else
		doc = doc_from_yaml(text, len, path, report);
	free(text);
	if (file)
		(void)fclose(file);
	return doc;
}
