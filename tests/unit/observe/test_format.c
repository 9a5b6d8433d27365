/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>

#include "observe/format.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *const words[] = {"client_ip", "host", "empty", NULL, "request_id"};
static const struct strtable names = STRTABLE(words);
static const char *const values[] = {"192.0.2.1", "example.com", "", "never", "${host}"};

static struct slice lookup(void *ctx, int field)
{
	(*(int *)ctx)++;
	return slice_of(values[field]);
}

static void a_text_is_filled_in(void **state)
{
	static const struct {
		const char *text;
		const char *want;
		int lookups;
	} rows[] = {
		{"", "", 0},
		{"plain", "plain", 0},
		{"${host}", "example.com", 1},
		{"a${host}b", "aexample.comb", 1},
		{"${host}${host}", "example.comexample.com", 2},
		{"<${empty}>", "<>", 1},
		{"${client_ip} ${host}!", "192.0.2.1 example.com!", 2},
		/* Values are not looked into. */
		{"${request_id}", "${host}", 1},
		{"$", "$", 0},
		{"5$ and $x", "5$ and $x", 0},
		{"$$", "$", 0},
		{"$${host}", "${host}", 0},
		{"$$${host}", "$example.com", 1},
		{"$$$$", "$$", 0},
		{"{host}", "{host}", 0},
		{"}${host}}", "}example.com}", 1},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct format format;
		struct error err = {0};
		char text[128];
		struct http_writer w = {.ptr = text, .size = sizeof(text)};
		int lookups = 0;

		if (format_compile(slice_of(rows[i].text), &names, &format, &err) < 0)
			fail_msg("'%s' is refused: %s", rows[i].text, err.message);
		format_expand(&format, lookup, &lookups, &w);
		if (w.overflow || !slice_eq((struct slice){text, w.len}, slice_of(rows[i].want)))
			fail_msg("'%s': expected '%s', got '%.*s'", rows[i].text, rows[i].want,
				 (int)w.len, text);
		assert_int_equal(lookups, rows[i].lookups);
		format_fini(&format);
	}
}

static void a_bad_text_is_refused_with_the_mend(void **state)
{
	static const struct {
		const char *text;
		const char *want;
	} rows[] = {
		{"${hots}", "unknown variable '${hots}', did you mean '${host}'?"},
		{"x ${clientip} y", "unknown variable '${clientip}', did you mean '${client_ip}'?"},
		{"${Host}", "unknown variable '${Host}', did you mean '${host}'?"},
		{"${nothing_like_it}", "unknown variable '${nothing_like_it}'"},
		{"${}", "'${}' names no variable"},
		{"${host", "'${host' is not closed: add '}'"},
		{"ok ${host} ${", "'${' is not closed: add '}'"},
		{"${some_other_name ${host}",
		 "unknown variable '${some_other_name ${host}': is a '}' missing?"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct format format = {.n_parts = 4711};
		struct error err = {0};

		assert_int_equal(format_check(slice_of(rows[i].text), &names, &err), -EINVAL);
		assert_string_equal(err.message, rows[i].want);
		err = (struct error){0};
		assert_int_equal(format_compile(slice_of(rows[i].text), &names, &format, &err),
				 -EINVAL);
		assert_string_equal(err.message, rows[i].want);
		assert_int_equal(format.n_parts, 4711); /* untouched */
	}
}

static void what_does_not_fit_is_told(void **state)
{
	struct format format;
	char text[8];
	struct http_writer w = {.ptr = text, .size = sizeof(text)};
	int lookups = 0;

	(void)state;
	assert_int_equal(format_compile(SLICE("a${host}"), &names, &format, NULL), 0);
	format_expand(&format, lookup, &lookups, &w);
	assert_true(w.overflow);
	format_fini(&format);
}

static void a_text_has_a_size_and_a_number_of_parts(void **state)
{
	static char text[FORMAT_MAX_LEN + 1];
	struct error err = {0};

	(void)state;
	memset(text, 'x', sizeof(text));
	assert_int_equal(format_check((struct slice){text, FORMAT_MAX_LEN}, &names, &err), 0);
	assert_int_equal(format_check((struct slice){text, sizeof(text)}, &names, &err), -EINVAL);
	assert_string_equal(err.message, "4097 bytes are too long: at most 4096");
	for (size_t i = 0; i <= FORMAT_MAX_PARTS; i++)
		memcpy(text + 7 * i, "${host}", 7);
	assert_int_equal(format_check((struct slice){text, 7UL * FORMAT_MAX_PARTS}, &names, &err),
			 0);
	assert_int_equal(
		format_check((struct slice){text, 7UL * (FORMAT_MAX_PARTS + 1)}, &names, &err),
		-EINVAL);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_text_is_filled_in),
		cmocka_unit_test(a_bad_text_is_refused_with_the_mend),
		cmocka_unit_test(what_does_not_fit_is_told),
		cmocka_unit_test(a_text_has_a_size_and_a_number_of_parts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
