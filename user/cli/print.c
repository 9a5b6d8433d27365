/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "cli/print.h"

#include <stdlib.h>
#include <string.h>

#include "base/slice.h"

const json_t *json_at(const json_t *object, const char *path)
{
	while (object) {
		size_t len = strcspn(path, ".");
		char key[64];

		if (len >= sizeof(key))
			return NULL;
		memcpy(key, path, len);
		key[len] = '\0';
		object = json_object_get(object, key);
		if (path[len] == '\0')
			break;
		path += len + 1;
	}
	return object;
}

static void append_clean(struct buffer *text, const char *from)
{
	for (; *from; from++) {
		unsigned char c = (unsigned char)*from;

		buffer_append(text, c < 0x20 || c == 0x7f ? "?" : from, 1);
	}
}

static void print_object(struct buffer *text, const json_t *object)
{
	char *json = json_dumps(object, JSON_COMPACT);

	buffer_print(text, "%s", json ? json : "...");
	free(json);
}

static void print_list(struct buffer *text, const json_t *list)
{
	if (json_array_size(list) == 0)
		buffer_print(text, "-");
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *item = json_array_get(list, i);

		if (i > 0)
			buffer_print(text, ", ");
		if (json_is_string(item))
			append_clean(text, json_string_value(item));
		else if (json_is_integer(item))
			buffer_print(text, "%" JSON_INTEGER_FORMAT, json_integer_value(item));
		else
			print_object(text, item);
	}
}

void print_value(struct buffer *text, const json_t *value)
{
	if (json_is_string(value) && *json_string_value(value))
		append_clean(text, json_string_value(value));
	else if (json_is_integer(value))
		buffer_print(text, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	else if (json_is_real(value))
		buffer_print(text, "%.1f", json_real_value(value));
	else if (json_is_boolean(value))
		buffer_print(text, "%s", json_is_true(value) ? "yes" : "no");
	else if (json_is_array(value))
		print_list(text, value);
	else if (json_is_object(value))
		print_object(text, value);
	else
		buffer_print(text, "-");
}

void print_duration(struct buffer *text, json_int_t ms)
{
	long long s = ms / 1000;

	if (ms < 1000)
		buffer_print(text, "%lldms", (long long)ms);
	else if (s < 60)
		buffer_print(text, "%llds", s);
	else if (s < 3600)
		buffer_print(text, "%lldm %llds", s / 60, s % 60);
	else if (s < 86400)
		buffer_print(text, "%lldh %lldm", s / 3600, s / 60 % 60);
	else
		buffer_print(text, "%lldd %lldh", s / 86400, s / 3600 % 24);
}

void print_json(const json_t *json)
{
	(void)json_dumpf(json, stdout, JSON_INDENT(2));
	(void)putchar('\n');
}

void print_lines(const json_t *list, const char *prefix)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		struct buffer text = {0};

		print_value(&text, json_array_get(list, i));
		printf("%s%s\n", prefix, text.failed ? "" : text.ptr);
		buffer_fini(&text);
	}
}

/* ---- Tables --------------------------------------------------------------------------------- */

static void cell_of(struct buffer *text, const json_t *object, const char *key)
{
	const json_t *value = json_at(object, key);
	size_t len = strlen(key);

	if (json_is_integer(value) && len > 3 && strcmp(key + len - 3, "_ms") == 0)
		print_duration(text, json_integer_value(value));
	else
		print_value(text, value);
}

static void measure(const json_t *list, const struct column *columns, int *widths)
{
	for (int c = 0; columns[c].head && c < PRINT_MAX_COLUMNS; c++) {
		struct buffer text = {0};

		widths[c] = (int)strlen(columns[c].head) - (columns[c].head[0] == '>');
		for (size_t i = 0; i < json_array_size(list); i++) {
			buffer_clear(&text);
			cell_of(&text, json_array_get(list, i), columns[c].key);
			if ((int)text.len > widths[c])
				widths[c] = (int)text.len;
		}
		buffer_fini(&text);
	}
}

static void print_cell(const struct column *column, int width, const char *text)
{
	bool last = !column[1].head;

	if (column->head[0] == '>')
		printf("%*s%s", width, text, last ? "\n" : "  ");
	else if (last)
		printf("%s\n", text);
	else
		printf("%-*s  ", width, text);
}

void print_table(const json_t *list, const struct column *columns, const char *none)
{
	int widths[PRINT_MAX_COLUMNS] = {0};

	if (json_array_size(list) == 0) {
		puts(none);
		return;
	}
	measure(list, columns, widths);
	for (int c = 0; columns[c].head && c < PRINT_MAX_COLUMNS; c++)
		print_cell(&columns[c], widths[c], columns[c].head + (columns[c].head[0] == '>'));
	for (size_t i = 0; i < json_array_size(list); i++) {
		for (int c = 0; columns[c].head && c < PRINT_MAX_COLUMNS; c++) {
			struct buffer text = {0};

			cell_of(&text, json_array_get(list, i), columns[c].key);
			print_cell(&columns[c], widths[c], text.ptr ? text.ptr : "");
			buffer_fini(&text);
		}
	}
}

/* ---- Records -------------------------------------------------------------------------------- */

/* <depth> is 0 or 1: an object in an object in an object is printed as JSON. */
static void print_fields(const json_t *object, const char *except, int depth)
{
	const char *key;
	json_t *value;

	json_object_foreach ((json_t *)object, key, value) {
		struct buffer text = {0};
		char label[64];

		if (except && strcmp(key, except) == 0)
			continue;
		(void)snprintf(label, sizeof(label), "%s:", key);
		for (char *c = label; *c; c++)
			*c = *c == '_' ? '-' : *c;
		if (json_is_object(value) && depth == 0) {
			puts(label);
			print_fields(value, NULL, 1);
			continue;
		}
		cell_of(&text, object, key);
		printf("%*s%-*s %s\n", depth * 2, "", 20 - depth * 2, label,
		       text.ptr ? text.ptr : "");
		buffer_fini(&text);
	}
}

void print_record(const json_t *object, const char *except)
{
	print_fields(object, except, 0);
}
