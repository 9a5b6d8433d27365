/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A configuration as a tree of maps, lists and scalars with positions: what YAML and JSON become
 * before anybody knows what the words mean.
 *
 * For: one key table for files and API bodies; merging run-time changes over the file.
 * Owns: its nodes. May know: base, libyaml, jansson.
 */
#ifndef CONFIG_DOC_H
#define CONFIG_DOC_H

#include <jansson.h>

#include "config/report.h"

enum doc_kind { DOC_NULL, DOC_SCALAR, DOC_LIST, DOC_MAP };

struct doc {
	enum doc_kind kind;
	char *text;    /* scalar */
	bool quoted;   /* scalar: was in quotes */
	char *key;     /* in a map: this entry's key */
	uint32_t line; /* 1-based; 0: from the API or the overlay */
	uint32_t column;
	uint32_t key_line; /* of the key; 0: no key, or from the API */
	uint32_t key_column;
	struct doc *first; /* children, in order */
	struct doc *last;  /* NULL: walk from <first> */
	struct doc *next;
};

/* One syntax error at most is reported, with its position. NULL then. Refused: duplicate keys,
 * anchors, aliases, tags, second documents. */
struct doc *doc_from_yaml_file(const char *path, struct report *report);
struct doc *doc_from_yaml(const char *text, size_t len, const char *name, struct report *report);
/*
 * The API's words become the configuration's: '_' turns into '-', "interval_ms": 200 into
 * interval: 200ms. JSON null becomes DOC_NULL. Keys that are names (of pools, services, backends,
 * interfaces) stay as they are, both ways.
 */
struct doc *doc_from_json(const json_t *json, struct report *report);
json_t *doc_to_json(const struct doc *doc); /* exact inverse in structure; scalars become strings */
void doc_free(struct doc *doc);
struct doc *doc_copy(const struct doc *doc);
struct doc *doc_get(const struct doc *map, const char *key); /* NULL: none */

/*
 * The overlay over the base, RFC 7396 (JSON merge patch) with one rule more: a list of maps is
 * merged as a map whose keys are the entries' "name" (default: "address"), which is how the overlay
 * writes backends: {pools: {web: {backends: {web2: {admin: draining}}}}}; null removes.
 * Changes <base>. 0, -ENOMEM, or -EINVAL for an overlay that is no map.
 */
int doc_merge(struct doc *base, const struct doc *overlay);

#endif
