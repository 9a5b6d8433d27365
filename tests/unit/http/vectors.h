/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The tables of tests/vectors, and texts to compare what they say with what was seen.
 *
 * For: test_vectors.c. Owns: the texts it makes. May know: base, jansson.
 */
#ifndef TESTS_HTTP_VECTORS_H
#define TESTS_HTTP_VECTORS_H

#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "base/slice.h"

/* Bytes that grow. */
struct text {
	char *ptr;
	size_t len;
	size_t size;
};

static inline void text_add(struct text *text, struct slice more)
{
	if (text->size - text->len < more.len) {
		text->size = (text->len + more.len) * 2;
		text->ptr = realloc(text->ptr, text->size);
		if (!text->ptr)
			abort();
	}
	if (more.len > 0)
		memcpy(text->ptr + text->len, more.ptr, more.len);
	text->len += more.len;
}

static inline struct slice text_slice(const struct text *text)
{
	return (struct slice){text->ptr, text->len};
}

static inline void text_free(struct text *text)
{
	free(text->ptr);
	*text = (struct text){0};
}

/* U+0000 to U+00FF are a byte each; jansson gives UTF-8. */
static inline void text_add_string(struct text *text, const json_t *string)
{
	const char *at = json_string_value(string), *end = at + json_string_length(string);

	while (at < end) {
		unsigned char c = (unsigned char)*at++;
		char byte = (char)c;

		if (c >= 0x80 && at < end)
			byte = (char)((c & 3) << 6 | (*at++ & 0x3f));
		text_add(text, (struct slice){&byte, 1});
	}
}

/* A text of the tables: a string, or its parts; [text, n] is n times the text. */
static inline void text_add_json(struct text *text, const json_t *value)
{
	const json_t *times = json_array_get(value, 1);
	json_int_t n = json_is_integer(times) ? json_integer_value(times) : 1;
	size_t parts = json_is_integer(times) ? 1 : json_array_size(value);

	if (json_is_string(value))
		text_add_string(text, value);
	for (; n > 0 && parts > 0; n--)
		for (size_t i = 0; i < parts; i++)
			text_add_json(text, json_array_get(value, i));
}

#endif
