/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "cli/moves.h"

#include <stdio.h>

#include "cli/print.h"

static const struct column columns[] = {
	{"BACKEND", "name"},
	{"ADDRESS", "address"},
	{">SHARE NOW", "before"},
	{">THEN", "after"},
	{0},
};

static double percent(const json_t *object, const char *key)
{
	return 100 * json_number_value(json_object_get(object, key));
}

/* "12.5%": a table of objects prints strings as they are. */
static void set_percent(json_t *row, const char *key, const char *from)
{
	char text[16];

	(void)snprintf(text, sizeof(text), "%.2f%%", percent(row, from));
	(void)json_object_set_new(row, key, json_string(text));
}

static void print_shares(json_t *backends)
{
	for (size_t i = 0; i < json_array_size(backends); i++) {
		set_percent(json_array_get(backends, i), "before", "share_before");
		set_percent(json_array_get(backends, i), "after", "share_after");
	}
	print_table(backends, columns, "no backend is eligible");
}

static void print_pool(const json_t *pool)
{
	const json_t *moved = json_object_get(pool, "moved");

	printf("pool '%s', %s: %lld slots, now %lld\n",
	       json_string_value(json_object_get(pool, "name")),
	       json_string_value(json_object_get(pool, "algorithm")),
	       (long long)json_integer_value(json_object_get(pool, "slots_after")),
	       (long long)json_integer_value(json_object_get(pool, "slots_before")));
	if (moved && json_object_get(pool, "moved_slots"))
		printf("%lld slots would move, ",
		       (long long)json_integer_value(json_object_get(pool, "moved_slots")));
	if (moved)
		printf("%.2f%% of new connections would go to another backend than now; %.2f%% "
		       "have to, theirs is not there any more\n",
		       percent(pool, "moved"), percent(pool, "needed"));
	print_shares(json_object_get(pool, "backends"));
}

void print_moves(const json_t *answer)
{
	const json_t *pools = json_object_get(answer, "pools");
	long long ended = (long long)json_integer_value(json_object_get(answer, "flows_ended"));

	for (size_t i = 0; i < json_array_size(pools); i++)
		print_pool(json_array_get(pools, i));
	if (json_array_size(pools) == 0)
		puts("no pool would choose otherwise than now");
	printf("%lld open connections would be ended; nothing was changed\n", ended);
}
