/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Headers that a route removes, sets and adds, ready to be applied.
 *
 * For: forward.c (requests), reply_edit.c (responses). Owns: the compiled values; names are
 * borrowed from the spec. May know: http, the spec, formats.
 */
#ifndef PROXY_HEADER_EDIT_H
#define PROXY_HEADER_EDIT_H

#include "observe/format.h"
#include "proxy/spec.h"

struct header_edit {
	enum header_op op;
	struct slice name;
	struct format value;
};

struct header_edits {
	struct header_edit *edits;
	uint32_t n;
	uint32_t taken; /* bits of enum http_header_id that are removed or set */
};

int header_edits_init(struct header_edits *edits, const struct headers_spec *spec);
void header_edits_fini(struct header_edits *edits); /* zeroed is fine */
/* Takes what is removed or set out of what is passed on; a set Host becomes the authority. */
void header_edits_withhold(const struct header_edits *edits, struct http_head *head);
/* Appends what is set or added, but Host. */
void header_edits_put(const struct header_edits *edits, format_lookup_fn *lookup, void *ctx,
		      struct http_writer *w);
/* The value that is set for Host; NULL: none. */
const struct format *header_edits_host(const struct header_edits *edits);
/* Marks every header of <head> of that name as not to be passed on. */
void header_withhold(struct http_head *head, struct slice name);

static inline bool header_edits_take(const struct header_edits *edits, enum http_header_id id)
{
	return edits->taken & 1U << id;
}

#endif
