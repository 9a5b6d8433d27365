/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "observe/escape.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct row {
	struct slice in;
	const char *want;
	size_t max; /* 0: plenty */
};

static void check(const struct row *rows, size_t n,
		  void (*escape)(struct http_writer *, struct slice, size_t))
{
	for (size_t i = 0; i < n; i++) {
		char text[128];
		struct http_writer w = {.ptr = text, .size = sizeof(text)};

		escape(&w, rows[i].in, rows[i].max ? rows[i].max : sizeof(text));
		if (!slice_eq((struct slice){text, w.len}, slice_of(rows[i].want)))
			fail_msg("row %zu '%.*s': expected '%s', got '%.*s'", i,
				 SLICE_ARG(rows[i].in), rows[i].want, (int)w.len, text);
	}
}

static void text_holds_no_quote_no_control_and_no_byte_above_ascii(void **state)
{
	static const struct row rows[] = {
		{SLICE(""), "", 0},
		{SLICE("/a?b=c d"), "/a?b=c d", 0},
		{SLICE("a\"b\\c"), "a\\x22b\\x5Cc", 0},
		{SLICE("a\nb\r\0c\t"), "a\\x0Ab\\x0D\\x00c\\x09", 0},
		{SLICE("\x7f\x80\xff"), "\\x7F\\x80\\xFF", 0},
		{SLICE("\033[2J"), "\\x1B[2J", 0},
		{SLICE("\xc3\xa4"), "\\xC3\\xA4", 0},
		{SLICE("abcdef"), "abc", 3},
		{SLICE("ab\ncd"), "ab", 5},
		{SLICE("ab\ncd"), "ab\\x0A", 6},
	};

	(void)state;
	check(rows, COUNT(rows), escape_text);
}

static void json_is_valid_utf8_whatever_came(void **state)
{
	static const struct row rows[] = {
		{SLICE("plain"), "plain", 0},
		{SLICE("a\"b\\c/"), "a\\\"b\\\\c/", 0},
		{SLICE("\b\f\n\r\t"), "\\b\\f\\n\\r\\t", 0},
		{SLICE("\0\x01\x1f\x7f"), "\\u0000\\u0001\\u001F\\u007F", 0},
		{SLICE("\xc3\xa4\xe2\x82\xac\xf0\x9f\x99\x82"),
		 "\xc3\xa4\xe2\x82\xac\xf0\x9f\x99\x82", 0},
		/* Alone, cut short, overlong, a surrogate, above U+10FFFF. */
		{SLICE("\x80"), "\\\\x80", 0},
		{SLICE("a\xc3"), "a\\\\xC3", 0},
		{SLICE("\xe2\x82"), "\\\\xE2\\\\x82", 0},
		{SLICE("\xc0\xaf"), "\\\\xC0\\\\xAF", 0},
		{SLICE("\xe0\x80\xaf"), "\\\\xE0\\\\x80\\\\xAF", 0},
		{SLICE("\xed\xa0\x80"), "\\\\xED\\\\xA0\\\\x80", 0},
		{SLICE("\xf4\x90\x80\x80"), "\\\\xF4\\\\x90\\\\x80\\\\x80", 0},
		{SLICE("\xff\xfe"), "\\\\xFF\\\\xFE", 0},
		{SLICE("a\xc3\xa4"), "a", 2}, /* not half a character */
		{SLICE("ab\n"), "ab", 3},
	};

	(void)state;
	check(rows, COUNT(rows), escape_json);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_holds_no_quote_no_control_and_no_byte_above_ascii),
		cmocka_unit_test(json_is_valid_utf8_whatever_came),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
