/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What llhttp, the parser of Node.js, makes of a message.
 *
 * For: oracle.c. Owns: nothing; slices point into the message. May know: llhttp. May not know our
 * http room: both call their methods HTTP_GET.
 */
#ifndef FUZZ_OPINION_H
#define FUZZ_OPINION_H

#include "check.h"

#define OPINION_FIELDS 1024

struct opinion_field {
	struct slice name;
	struct slice value;
};

/* What llhttp made of a message. */
struct opinion {
	struct slice url;
	struct opinion_field fields[OPINION_FIELDS]; /* the head's, then the trailers */
	size_t n_fields;
	size_t n_head_fields;
	bool in_value; /* the last field's value has begun */
	bool torn;     /* a text in two parts: a folded line, which we never take */
	bool no_body;
	bool head_done;
	bool done;
	/* When the head was done. */
	bool chunked;
	bool has_length;
	uint64_t length;
	bool close; /* Connection says so */
	bool keep_alive;
	/* Of the first line. */
	unsigned minor;
	unsigned status;
	const char *method;
	char body[CHECK_MAX];
	size_t body_len;
	bool refused;
	size_t end; /* where the message ends, when done */
};

/* <no_body>: it answers HEAD. */
void opinion_ask(struct opinion *opinion, struct slice text, bool response, bool no_body);

#endif
