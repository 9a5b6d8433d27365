/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "proxy/path.h"

struct slice path_of(struct slice target)
{
	const char *query = target.len ? memchr(target.ptr, '?', target.len) : NULL;

	if (query)
		target.len = (size_t)(query - target.ptr);
	return target;
}

static int digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A '%' without two digits behind it stands for itself. */
static size_t decode(struct slice path, char *out)
{
	size_t len = 0;

	for (size_t i = 0; i < path.len; i++) {
		int high = -1, low = -1;

		if (path.ptr[i] == '%' && path.len - i > 2) {
			high = digit_of(path.ptr[i + 1]);
			low = digit_of(path.ptr[i + 2]);
		}
		if (high < 0 || low < 0) {
			out[len++] = path.ptr[i];
			continue;
		}
		out[len++] = (char)(high << 4 | low);
		i += 2;
	}
	return len;
}

/* <len> bytes of <out> end in '/'. Takes the segment before it away, but never the root. */
static size_t parent(const char *out, size_t len)
{
	if (len <= 1)
		return len;
	len--;
	while (len > 1 && out[len - 1] != '/')
		len--;
	return len;
}

/* In place: what is written never overtakes what is read. */
static size_t resolve(char *text, size_t size)
{
	size_t len = 0, at = 0;

	while (at < size) {
		struct slice segment = {text + at, 0};

		while (at + segment.len < size && text[at + segment.len] != '/')
			segment.len++;
		at += segment.len;
		if (slice_eq(segment, SLICE(".."))) {
			len = parent(text, len);
		} else if (!slice_eq(segment, SLICE("."))) {
			memmove(text + len, segment.ptr, segment.len);
			len += segment.len;
		}
		if (at < size && (len == 0 || text[len - 1] != '/'))
			text[len++] = '/';
		at++;
	}
	return len;
}

static bool is_clean(struct slice path)
{
	char before = '\0';

	for (size_t i = 0; i < path.len; i++) {
		char c = path.ptr[i];

		if (c == '%' || (before == '/' && (c == '/' || c == '.')))
			return false;
		before = c;
	}
	return true;
}

struct slice path_clean(struct slice path, char *buffer)
{
	if (is_clean(path))
		return path;
	return (struct slice){buffer, resolve(buffer, decode(path, buffer))};
}
