/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A growing string, always NUL-terminated.
 *
 * For: building text of unknown length off the request path. Owns: its memory. Knows: nobody.
 * Running out of memory sets <failed> and drops the text; the caller asks once, at the end.
 */
#ifndef BASE_BUFFER_H
#define BASE_BUFFER_H

#include <stdbool.h>
#include <stddef.h>

struct buffer {
	char *ptr; /* NULL while empty and unallocated */
	size_t len;
	size_t size;
	bool failed;
};

void buffer_fini(struct buffer *buffer); /* zeroed memory is a valid empty buffer */
void buffer_clear(struct buffer *buffer);
void buffer_append(struct buffer *buffer, const char *text, size_t len);
void buffer_print(struct buffer *buffer, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#endif
