/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * JSON for people: tables of objects, one object as lines.
 *
 * For: the nouns' files. Owns: nothing. May know: base, jansson.
 * Text from lbd is printed without control characters: a terminal obeys those.
 */
#ifndef CLI_PRINT_H
#define CLI_PRINT_H

#include "base/buffer.h"
#include "cli/cli.h"

struct column {
	const char *head; /* NULL ends the table; one that starts with '>' is right-aligned */
	const char *key;  /* "kernel_path.loaded" */
};

#define PRINT_MAX_COLUMNS 16

/* A head line and one line for each object of <list>; says so when there is none. */
void print_table(const json_t *list, const struct column *columns, const char *none);
/* "key: value" lines, objects in it indented. <except> (may be NULL) is a key to leave out. */
void print_record(const json_t *object, const char *except);
/* One line for each string. */
void print_lines(const json_t *list, const char *prefix);
void print_json(const json_t *json);
/* A string as it is, numbers, "yes" and "no", lists with commas, "-" for what is not there. */
void print_value(struct buffer *text, const json_t *value);
/* "3d 4h", "5m 6s", "12ms". */
void print_duration(struct buffer *text, json_int_t ms);
const json_t *json_at(const json_t *object, const char *path);

#endif
