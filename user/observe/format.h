/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A text with ${name} in it, understood once and filled in often.
 *
 * For: header values, lines of the access log. Owns: its copy of the text.
 * May know: base, http's writer. Must never know: what a name means.
 * "$$" is one '$'; a '$' before anything else but '{' is itself. Filling in takes no memory.
 */
#ifndef OBSERVE_FORMAT_H
#define OBSERVE_FORMAT_H

#include "base/error.h"
#include "base/strtable.h"
#include "http/message.h"
#include "observe/spec.h"

/* A piece of fixed text, and the field after it. */
struct format_part {
	struct slice literal; /* may be empty */
	int field;	      /* value in the table of names; -1: none */
};

struct format {
	struct format_part *parts;
	uint32_t n_parts;
	char *text; /* what the literals point into */
};

/* The value of a field; of an unknown one whatever the caller wants to stand for it. */
typedef struct slice format_lookup_fn(void *ctx, int field);

/* -EINVAL with what is wrong (format_check() in spec.h says the same), or -ENOMEM. */
int format_compile(struct slice text, const struct strtable *names, struct format *ret_format,
		   struct error *err);
void format_fini(struct format *format); /* zeroed is fine */
/* Appends to <w>, whose <overflow> tells when it did not fit. */
void format_expand(const struct format *format, format_lookup_fn *lookup, void *ctx,
		   struct http_writer *w);

#endif
