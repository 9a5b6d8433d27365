/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "observe/escape.h"

static const char digits[] = "0123456789ABCDEF";

static bool plain(unsigned char c)
{
	return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

static size_t plain_run(struct slice bytes)
{
	size_t n = 0;

	while (n < bytes.len && plain((unsigned char)bytes.ptr[n]))
		n++;
	return n;
}

static void skip(struct slice *bytes, size_t n)
{
	bytes->ptr += n;
	bytes->len -= n;
}

/* False when it does not fit any more. */
static bool put(struct http_writer *w, struct slice text, size_t *room)
{
	if (text.len > *room)
		return false;
	*room -= text.len;
	http_put(w, text);
	return true;
}

static void put_run(struct http_writer *w, struct slice *bytes, size_t *room)
{
	size_t n = plain_run(*bytes);

	if (n > *room)
		n = *room;
	put(w, (struct slice){bytes->ptr, n}, room);
	skip(bytes, n);
}

void escape_text(struct http_writer *w, struct slice bytes, size_t max)
{
	for (put_run(w, &bytes, &max); bytes.len > 0; put_run(w, &bytes, &max)) {
		unsigned char c = (unsigned char)bytes.ptr[0];
		char hex[4] = {'\\', 'x', digits[c >> 4], digits[c & 15]};

		if (plain(c) || !put(w, (struct slice){hex, sizeof(hex)}, &max))
			return;
		skip(&bytes, 1);
	}
}

/* ---- UTF-8, RFC 3629 section 4 --------------------------------------------------------------- */

static bool continues(struct slice bytes, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++) {
		if (i >= bytes.len || ((unsigned char)bytes.ptr[i] & 0xc0) != 0x80)
			return false;
	}
	return true;
}

/* No overlong forms, no surrogates, nothing above U+10FFFF: the second byte tells. */
static bool second_fits(unsigned char first, unsigned char second)
{
	switch (first) {
	case 0xe0:
		return second >= 0xa0;
	case 0xed:
		return second < 0xa0;
	case 0xf0:
		return second >= 0x90;
	case 0xf4:
		return second < 0x90;
	default:
		return true;
	}
}

/* Bytes of the character of two or more that <bytes> begins with; 0: there is none. */
static size_t utf8_length(struct slice bytes)
{
	unsigned char first = (unsigned char)bytes.ptr[0];
	size_t len = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;

	if (first < 0xc2 || first > 0xf4 || !continues(bytes, 1, len) ||
	    !second_fits(first, (unsigned char)bytes.ptr[1]))
		return 0;
	return len;
}

/* What stands for an ASCII byte that may not stand for itself; its length. */
static size_t json_control(unsigned char c, char text[static 6])
{
	static const char from[] = "\"\\\b\f\n\r\t";
	static const char to[] = "\"\\bfnrt";
	const char *at = c ? strchr(from, c) : NULL;

	text[0] = '\\';
	if (at) {
		text[1] = to[at - from];
		return 2;
	}
	text[1] = 'u';
	text[2] = '0';
	text[3] = '0';
	text[4] = digits[c >> 4];
	text[5] = digits[c & 15];
	return 6;
}

void escape_json(struct http_writer *w, struct slice bytes, size_t max)
{
	for (put_run(w, &bytes, &max); bytes.len > 0; put_run(w, &bytes, &max)) {
		unsigned char c = (unsigned char)bytes.ptr[0];
		char text[6] = {'\\', '\\', 'x', digits[c >> 4], digits[c & 15]};
		struct slice out = {text, 5};
		size_t used = 1;

		if (plain(c))
			return;
		if (c < 0x80) {
			out.len = json_control(c, text);
		} else if (utf8_length(bytes) > 0) {
			used = utf8_length(bytes);
			out = (struct slice){bytes.ptr, used};
		}
		if (!put(w, out, &max))
			return;
		skip(&bytes, used);
	}
}
