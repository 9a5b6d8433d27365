/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Making nodes of a document tree.
 *
 * For: the readers (YAML, JSON) and the merge. Owns: nothing. May know: doc.h.
 */
#ifndef CONFIG_DOC_NODE_H
#define CONFIG_DOC_NODE_H

#include "config/doc.h"

#define DOC_MAX_DEPTH 32

struct doc *doc_new(enum doc_kind kind); /* NULL: out of memory */
void doc_append(struct doc *parent, struct doc *child);
/* The second entry of a key that is there twice, the first in the text; NULL: none. -ENOMEM. */
int doc_find_duplicate(const struct doc *map, const struct doc **ret_duplicate);

#endif
