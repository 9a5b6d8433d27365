/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "base/buffer.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void buffer_fini(struct buffer *buffer)
{
	free(buffer->ptr);
	*buffer = (struct buffer){0};
}

void buffer_clear(struct buffer *buffer)
{
	buffer->len = 0;
	buffer->failed = false;
	if (buffer->ptr)
		buffer->ptr[0] = '\0';
}

/* Room for <more> bytes and a NUL. */
static bool reserve(struct buffer *buffer, size_t more)
{
	size_t size = buffer->size ? buffer->size : 128;
	char *ptr;

	if (more > SIZE_MAX / 4 - buffer->len) {
		buffer->failed = true;
		return false;
	}
	while (size - buffer->len <= more)
		size *= 2;
	if (size == buffer->size)
		return true;
	ptr = realloc(buffer->ptr, size);
	if (!ptr) {
		buffer->failed = true;
		return false;
	}
	buffer->ptr = ptr;
	buffer->size = size;
	return true;
}

void buffer_append(struct buffer *buffer, const char *text, size_t len)
{
	if (!reserve(buffer, len))
		return;
	if (len > 0)
		memcpy(buffer->ptr + buffer->len, text, len);
	buffer->len += len;
	buffer->ptr[buffer->len] = '\0';
}

void buffer_print(struct buffer *buffer, const char *fmt, ...)
{
	va_list args;
	int len;

	va_start(args, fmt);
	len = vsnprintf(NULL, 0, fmt, args);
	va_end(args);
	if (len < 0 || !reserve(buffer, (size_t)len))
		return;
	va_start(args, fmt);
	(void)vsnprintf(buffer->ptr + buffer->len, (size_t)len + 1, fmt, args);
	va_end(args);
	buffer->len += (size_t)len;
}
