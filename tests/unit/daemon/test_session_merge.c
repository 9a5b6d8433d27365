/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/session_merge.h"

#define ROW(id) "{\"id\":" #id "}"

struct row {
	const char *name;
	const char *own;
	const char *others;
	size_t limit;
	const char *expected;
};

static const struct row rows[] = {
	{"nobody else", "{\"sessions\":[" ROW(1) "]}", "[]", 10, "{\"sessions\":[" ROW(1) "]}"},
	{"others go before, by their ids", "{\"sessions\":[" ROW(21) "," ROW(22) "]}",
	 "[{\"sessions\":[" ROW(11) "]},{\"sessions\":[" ROW(1) "," ROW(2) "]}]", 10,
	 "{\"sessions\":[" ROW(1) "," ROW(2) "," ROW(11) "," ROW(21) "," ROW(22) "]}"},
	{"a page is no longer than asked", "{\"sessions\":[" ROW(21) "]}",
	 "[{\"sessions\":[" ROW(1) "," ROW(2) "]}]", 2,
	 "{\"sessions\":[" ROW(1) "," ROW(2) "],\"next\":21}"},
	{"what others may go before waits for the next page",
	 "{\"sessions\":[" ROW(21) "," ROW(22) "]}",
	 "[{\"sessions\":[" ROW(1) "," ROW(2) "],\"next\":3}]", 10,
	 "{\"sessions\":[" ROW(1) "," ROW(2) "],\"next\":3}"},
	{"one's own next stays", "{\"sessions\":[" ROW(21) "],\"next\":22}", "[{\"sessions\":[]}]",
	 10, "{\"sessions\":[" ROW(21) "],\"next\":22}"},
	{"one's own next comes nearer", "{\"sessions\":[" ROW(21) "," ROW(22) "],\"next\":23}",
	 "[{\"sessions\":[" ROW(1) "]}]", 2, "{\"sessions\":[" ROW(1) "," ROW(21) "],\"next\":22}"},
	{"an answer without a list is none", "{\"sessions\":[" ROW(21) "]}", "[{\"error\":{}},{}]",
	 10, "{\"sessions\":[" ROW(21) "]}"},
};

static void pages_of_several_processes_make_one(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		json_t *body = json_loads(rows[i].own, 0, NULL);
		json_t *others = json_loads(rows[i].others, 0, NULL);
		char *text;

		assert_int_equal(session_merge(body, others, rows[i].limit), 0);
		text = json_dumps(body, JSON_COMPACT);
		if (strcmp(text, rows[i].expected) != 0)
			fail_msg("%s: expected %s, got %s", rows[i].name, rows[i].expected, text);
		free(text);
		json_decref(body);
		json_decref(others);
	}
}

static void counts_are_added(void **state)
{
	json_t *body = json_loads("{\"count\":3}", 0, NULL);
	json_t *others = json_loads("[{\"count\":4},{\"error\":{}},{\"count\":1}]", 0, NULL);

	(void)state;
	session_add(body, others);
	assert_int_equal(json_integer_value(json_object_get(body, "count")), 8);
	json_decref(body);
	json_decref(others);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pages_of_several_processes_make_one),
		cmocka_unit_test(counts_are_added),
	};

	return cmocka_run_group_tests_name("session_merge", tests, NULL, NULL);
}
