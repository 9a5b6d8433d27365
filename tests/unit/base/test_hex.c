/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/hex.h"

static void check(uint64_t number)
{
	char text[HEX_LEN + 1] = "", expected[HEX_LEN + 1];

	(void)snprintf(expected, sizeof(expected), "%016llx", (unsigned long long)number);
	hex_write(number, text);
	assert_string_equal(text, expected);
}

static void every_digit_comes_out_at_every_place(void **state)
{
	(void)state;
	for (unsigned place = 0; place < HEX_LEN; place++) {
		for (uint64_t digit = 0; digit < 16; digit++) {
			check(digit << (4 * place));
			check(~(digit << (4 * place)));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_digit_comes_out_at_every_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
