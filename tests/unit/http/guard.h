/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Memory that ends at a page nobody may touch: reading one byte too far is a crash.
 *
 * For: the tests of parsers. Owns: its mapping, for the life of the program.
 */
#ifndef TESTS_HTTP_GUARD_H
#define TESTS_HTTP_GUARD_H

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/slice.h"

#define GUARD_SIZE (1U << 17) /* a multiple of every page size */

/* A copy of <text> whose last byte is the last one before the guard page. */
static inline struct slice guard_copy(struct slice text)
{
	static char *end;
	char *at;

	if (!end) {
		char *map = mmap(NULL, 2 * GUARD_SIZE, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (map == MAP_FAILED || mprotect(map + GUARD_SIZE, GUARD_SIZE, PROT_NONE) < 0)
			abort();
		end = map + GUARD_SIZE;
	}
	if (text.len > GUARD_SIZE)
		abort();
	at = end - text.len;
	if (text.len > 0)
		memcpy(at, text.ptr, text.len);
	return (struct slice){at, text.len};
}

#endif
