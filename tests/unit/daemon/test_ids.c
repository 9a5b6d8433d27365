/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "daemon/ids.h"

static void a_name_keeps_its_number(void **state)
{
	struct ids ids;

	(void)state;
	assert_int_equal(ids_init(&ids, 8), 0);
	assert_int_equal(ids_take(&ids, "web"), ids_take(&ids, "web"));
	assert_int_not_equal(ids_take(&ids, "web"), ids_take(&ids, "api"));
	assert_string_equal(ids_name(&ids, ids_take(&ids, "api")), "api");
	ids_fini(&ids);
}

static void an_adopted_number_stays_with_its_name(void **state)
{
	struct ids ids;

	(void)state;
	assert_int_equal(ids_init(&ids, 8), 0);
	ids_adopt(&ids, 5, "web");
	assert_int_equal(ids_take(&ids, "web"), 5);
	ids_adopt(&ids, 0, "none");
	ids_adopt(&ids, 8, "beyond");
	assert_int_not_equal(ids_take(&ids, "beyond"), 8);
	ids_fini(&ids);
}

static void a_number_given_back_is_used_last(void **state)
{
	struct ids ids;
	uint32_t first;

	(void)state;
	assert_int_equal(ids_init(&ids, 4), 0);
	first = ids_take(&ids, "a");
	ids_release(&ids, first);
	assert_int_not_equal(ids_take(&ids, "b"), first);
	assert_int_not_equal(ids_take(&ids, "c"), first);
	assert_int_equal(ids_take(&ids, "d"), first);
	assert_int_equal(ids_take(&ids, "e"), 0);
	ids_fini(&ids);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_name_keeps_its_number),
		cmocka_unit_test(an_adopted_number_stays_with_its_name),
		cmocka_unit_test(a_number_given_back_is_used_last),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
