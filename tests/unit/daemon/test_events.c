/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/load_balancer.h"

static struct load_balancer lb;

static void add(unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		events_add(&lb, &(struct event){.time_ms = 5,
						.kind = "health",
						.object = "web/b1",
						.from = "up",
						.to = "down",
						.reason = "timeout"});
}

/* What the feed says after <cursor>, and where it then stands. */
static const char *fed(uint64_t *cursor)
{
	static char text[4096];
	struct buffer out = {0};

	events_feed(&lb, cursor, &out);
	(void)snprintf(text, sizeof(text), "%.*s", (int)(out.len < 4000 ? out.len : 4000),
		       out.ptr ? out.ptr : "");
	buffer_fini(&out);
	return text;
}

static void an_event_is_said_as_the_api_promises(void **state)
{
	uint64_t cursor = 0;

	(void)state;
	add(1);
	assert_string_equal(fed(&cursor), "id: 1\ndata: {\"seq\":1,\"time\":5,\"kind\":\"health\","
					  "\"object\":\"web/b1\",\"from\":\"up\",\"to\":\"down\","
					  "\"reason\":\"timeout\"}\n\n");
	assert_int_equal(cursor, 1);
	events_fini(&lb);
}

static void a_reader_goes_on_where_it_stopped(void **state)
{
	static const struct {
		unsigned before; /* events there are */
		uint64_t cursor;
		const char *begins; /* what it is told first */
		uint64_t after;
	} rows[] = {
		{0, 0, "", 0},
		{3, 0, "id: 1\n", 3},
		{3, 2, "id: 3\n", 3},
		{3, 3, "", 3},
		{3, 4, "id: 1\n", 3}, /* of an lbd before this one */
		{3, UINT64_MAX, "id: 1\n", 3},
		{0, 9, "", 0},
		{EVENTS_KEPT, 0, "id: 1\n", 0},
		{EVENTS_KEPT + 2, 0, ": 2 events were lost\n\nid: 3\n", 0},
		{EVENTS_KEPT + 2, EVENTS_KEPT + 1, "id: 1026\n", EVENTS_KEPT + 2},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		uint64_t cursor = rows[i].cursor;
		const char *text;

		add(rows[i].before);
		text = fed(&cursor);
		if (*rows[i].begins)
			assert_memory_equal(text, rows[i].begins, strlen(rows[i].begins));
		else
			assert_string_equal(text, "");
		if (rows[i].after || !rows[i].before)
			assert_int_equal(cursor, rows[i].after);
		events_fini(&lb);
	}
}

static void a_long_history_comes_in_pieces(void **state)
{
	uint64_t cursor = 0;
	uint64_t before = 0;
	unsigned turns = 0;

	(void)state;
	add(EVENTS_KEPT);
	do {
		before = cursor;
		(void)fed(&cursor);
		turns++;
	} while (cursor > before && turns < 100);
	assert_int_equal(cursor, EVENTS_KEPT);
	assert_true(turns > 2);
	events_fini(&lb);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_event_is_said_as_the_api_promises),
		cmocka_unit_test(a_reader_goes_on_where_it_stopped),
		cmocka_unit_test(a_long_history_comes_in_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
