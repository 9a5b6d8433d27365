/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "check.h"

#include <stdarg.h>
#include <stdio.h>
#include <xxhash.h>

bool check_fails(struct check *check, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(check->why, sizeof(check->why), format, args);
	va_end(args);
	return false;
}

size_t check_cut(struct slice in, unsigned salt, size_t bound)
{
	return bound ? XXH64(in.ptr, in.len, salt) % bound : 0;
}
