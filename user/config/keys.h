/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The key table: which words an object may hold, of what kind, and where the value goes.
 *
 * For: turning a document's map into a spec struct, with every mistake reported.
 * Owns: nothing. May know: doc, report, base.
 */
#ifndef CONFIG_KEYS_H
#define CONFIG_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/strtable.h"
#include "config/doc.h"

#define PATH_LEN 192

enum key_kind {
	KEY_TEXT,     /* char[size] */
	KEY_NUMBER,   /* uint32_t in [min, max] */
	KEY_DURATION, /* uint32_t ms in [min, max] */
	KEY_WORD,     /* an enum, by <words> */
	KEY_BOOL,
	KEY_OBJECT, /* <read> takes the node */
	KEY_LATER,  /* a word of the design that this version does not do */
};

struct build {
	struct report *report;
	struct config *config;
};

/* Where a node stands, for messages about nodes without a line. */
struct place {
	const struct doc *doc;
	char path[PATH_LEN];
};

typedef void key_read_fn(struct build *build, const struct place *place, void *out);

struct key {
	const char *name;
	enum key_kind kind;
	size_t offset;
	uint64_t min, max; /* KEY_TEXT: max is the array's size */
	const struct strtable *words;
	key_read_fn *read;
};

/* The value of one key, into its field of <out>. */
void key_read(struct build *build, const struct place *place, const struct key *key, void *out);
/* Reads <place> into <out>; unknown and wrong keys are reported. */
void keys_read(struct build *build, const struct place *place, const struct key *keys,
	       size_t n_keys, void *out);
void complain(struct build *build, const struct place *place, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
struct place place_child(const struct place *parent, const struct doc *child, const char *name);
/* The value of <key>, or the whole object where there is none. */
struct place place_at_key(const struct place *object, const char *key);
/* True when the node is of that kind; else it is reported. */
bool expect_kind(struct build *build, const struct place *place, enum doc_kind kind);
bool expect_name(struct build *build, const struct place *place, const char *name);
/* At the key of <place> instead of its value, where the file has one. */
void complain_key(struct build *build, const struct place *place, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
uint32_t doc_count(const struct doc *doc);
/* Zeroed; at least one element. Running out of memory is reported. */
void *build_array(struct build *build, uint32_t n, size_t size);

#endif
