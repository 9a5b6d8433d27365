/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/parse.h"
#include "base/strtable.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define NO	     (UINT64_MAX - 7) /* refused */

struct row {
	struct slice text;
	uint64_t value;
};

static bool read_u64(struct slice text, uint64_t *ret_value)
{
	return parse_u64(text, ret_value);
}

static bool read_duration(struct slice text, uint64_t *ret_value)
{
	uint32_t ms = 4711;
	bool taken = parse_duration_ms(text, &ms);

	if (taken)
		*ret_value = ms;
	else
		assert_int_equal(ms, 4711); /* untouched */
	return taken;
}

static void check(const struct row *rows, size_t n, bool (*read)(struct slice, uint64_t *))
{
	for (size_t i = 0; i < n; i++) {
		uint64_t value = NO;
		bool taken = read(rows[i].text, &value);

		if (taken != (rows[i].value != NO) || value != rows[i].value)
			fail_msg("'%.*s': %llu", SLICE_ARG(rows[i].text),
				 (unsigned long long)value);
	}
}

static void numbers_are_digits_that_fit(void **state)
{
	static const struct row rows[] = {
		{SLICE("0"), 0},
		{SLICE("007"), 7},
		{SLICE("18446744073709551615"), UINT64_MAX},
		{SLICE("18446744073709551616"), NO},
		{SLICE("99999999999999999999999"), NO},
		{SLICE(""), NO},
		{SLICE("-1"), NO},
		{SLICE("+1"), NO},
		{SLICE(" 1"), NO},
		{SLICE("1 "), NO},
		{SLICE("1\0"), NO},
		{SLICE("0x10"), NO},
		{SLICE("\xb1"), NO}, /* '1' with its high bit set */
	};

	(void)state;
	check(rows, COUNT(rows), read_u64);
}

static void durations_have_a_unit(void **state)
{
	static const struct row rows[] = {
		{SLICE("0"), 0},
		{SLICE("0s"), 0},
		{SLICE("200ms"), 200},
		{SLICE("2s"), 2000},
		{SLICE("5m"), 300000},
		{SLICE("1h"), 3600000},
		{SLICE("4294967295ms"), UINT32_MAX},
		{SLICE("4294967296ms"), NO},
		{SLICE("1193h"), 4294800000},
		{SLICE("1194h"), NO},
		{SLICE("18446744073709551615h"), NO},
		{SLICE("2"), NO},
		{SLICE("00"), NO},
		{SLICE("s"), NO},
		{SLICE(""), NO},
		{SLICE("2 s"), NO},
		{SLICE("2S"), NO},
		{SLICE("2.5s"), NO},
		{SLICE("-2s"), NO},
		{SLICE("2s3"), NO},
		{SLICE("2d"), NO},
	};

	(void)state;
	check(rows, COUNT(rows), read_duration);
}

/* ---- Words --------------------------------------------------------------------------------- */

static const char *const words[] = {[0] = "native", [1] = "generic", [3] = "tc"};
static const struct strtable table = STRTABLE(words);

static void words_and_values_go_both_ways(void **state)
{
	(void)state;
	assert_string_equal(strtable_name(&table, 0), "native");
	assert_string_equal(strtable_name(&table, 3), "tc");
	assert_string_equal(strtable_name(&table, 2), "?"); /* a gap */
	assert_string_equal(strtable_name(&table, 4), "?");
	assert_string_equal(strtable_name(&table, -1), "?");
	assert_int_equal(strtable_value(&table, SLICE("generic")), 1);
	assert_int_equal(strtable_value(&table, SLICE("Generic")), -1);
	assert_int_equal(strtable_value(&table, SLICE("generi")), -1);
	assert_int_equal(strtable_value(&table, SLICE("tc\0")), -1);
	assert_int_equal(strtable_value(&table, SLICE("")), -1);
}

static void the_nearest_word_is_found_when_it_is_near(void **state)
{
	static const struct {
		struct slice word;
		const char *nearest;
	} rows[] = {
		{SLICE("nativ"), "native"},
		{SLICE("natvie"), "native"},
		{SLICE("genric"), "generic"},
		{SLICE("tcc"), "tc"},
		{SLICE("xx"), NULL}, /* as far from "tc" as it is long */
		{SLICE("automatic"), NULL},
		{SLICE(""), NULL},
		{SLICE("a word that is far too long to be near to anything"), NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const char *nearest = strtable_nearest(words, COUNT(words), rows[i].word);

		if (rows[i].nearest)
			assert_string_equal(nearest ? nearest : "none", rows[i].nearest);
		else
			assert_null(nearest);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_digits_that_fit),
		cmocka_unit_test(durations_have_a_unit),
		cmocka_unit_test(words_and_values_go_both_ways),
		cmocka_unit_test(the_nearest_word_is_found_when_it_is_near),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
