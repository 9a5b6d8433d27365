/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What must hold for any bytes that a peer may send, whatever they are.
 *
 * For: fuzz_*.c, which make bytes up, and replay.c, which has them from files. Owns: scratch
 * memory: one thread only. May know: http, proxy/proxy_protocol.h.
 *
 * Of every parser: reading stops at the end of the bytes (they lie before a page nobody may touch),
 * cutting them anywhere changes no answer, and what was understood, written and read again says
 * the same. Of messages that we and llhttp both take: both read the same.
 */
#ifndef FUZZ_CHECK_H
#define FUZZ_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

#define CHECK_MAX 65536 /* longer inputs are not looked at */

struct check {
	char why[256]; /* what did not hold */
};

typedef bool check_fn(struct slice in, struct check *check);

check_fn check_request, check_response, check_chunked, check_proxy_protocol;

/* Always false. */
bool check_fails(struct check *check, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* A number below <bound> that depends on the input and <salt> only. */
size_t check_cut(struct slice in, unsigned salt, size_t bound);

#endif
