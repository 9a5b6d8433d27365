/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "cli/listing.h"

#include <stdio.h>
#include <stdlib.h>

#include "cli/draining.h"

#define PAGE 2000 /* asked for at a time: lbd does nothing else while it writes them */

struct buffer listing_path(const struct call *call, const char *collection)
{
	struct buffer path = path_of(collection, NULL);
	const struct option *options = call->verb->options;

	for (int i = 0; options[i].name; i++) {
		if (call->values[i] && options[i].key)
			path_query(&path, options[i].key, call->values[i]);
	}
	return path;
}

static void query_number(struct buffer *path, const char *name, unsigned long long number)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%llu", number);
	path_query(path, name, text);
}

static void take_draining(json_t *all, const json_t *answer)
{
	json_t *draining = json_object_get(answer, "draining");

	if (draining)
		(void)json_object_set(all, "draining", draining);
}

/* One page behind the other, until <wanted> are there; <ret_more>: there would be more. */
static enum cli_exit fetch(const struct call *call, const char *collection, size_t wanted,
			   json_t *all, bool *ret_more)
{
	json_t *list = json_object_get(all, collection);
	json_int_t next = 0;

	do {
		struct buffer path = listing_path(call, collection);
		size_t left = wanted - json_array_size(list);
		json_t *answer = NULL;
		enum cli_exit r;

		if (call_value(call, "limit"))
			query_number(&path, "limit", left < PAGE ? left : PAGE);
		if (next)
			query_number(&path, "from", (unsigned long long)next);
		r = api_call(call, "GET", path.ptr, NULL, &answer);
		buffer_fini(&path);
		if (r != CLI_DONE)
			return r;
		(void)json_array_extend(list, json_object_get(answer, collection));
		next = json_integer_value(json_object_get(answer, "next"));
		take_draining(all, answer);
		json_decref(answer);
	} while (next && json_array_size(list) < wanted);
	*ret_more = next != 0;
	return CLI_DONE;
}

enum cli_exit listing_show(const struct call *call, const struct listing *listing)
{
	const char *limit = call_value(call, "limit");
	size_t wanted = limit ? strtoul(limit, NULL, 10) : LISTING_SHOWN;
	json_t *answer = json_pack("{s:[]}", listing->collection);
	json_t *list = json_object_get(answer, listing->collection);
	bool more = false;
	enum cli_exit r;

	if (wanted == 0) {
		complain("--limit: a number from 1");
		json_decref(answer);
		return CLI_USAGE;
	}
	r = fetch(call, listing->collection, wanted, answer, &more);
	if (r == CLI_DONE && call->json)
		print_json(answer);
	else if (r == CLI_DONE)
		print_table(list, listing->columns, listing->none);
	if (r == CLI_DONE && more && !limit)
		complain("these are the first %zu; more with --limit N", json_array_size(list));
	draining_note(answer);
	json_decref(answer);
	return r;
}

bool listing_chosen(const struct call *call)
{
	return call_value(call, "all") || call_value(call, "service") ||
	       call_value(call, "backend") || call_value(call, "client");
}

#define FILTERS \
	{"service", "NAME", OPTION_TEXT, "service", "only those of a service"}, \
		{"backend", "NAME", OPTION_TEXT, "backend", \
		 "only those to a backend, name or address"}, \
	{ \
		"client", "ADDR", OPTION_TEXT, "client", \
			"only those of a client: 10.0.0.7, 10.0.0.7:4000, 10.0.0.0/8" \
	}

const struct option listing_show_options[] = {
	FILTERS,
	{"limit", "N", OPTION_NUMBER, NULL, "at most so many; without it 1000"},
	{0},
};

const struct option listing_count_options[] = {FILTERS, {0}};

const struct option listing_kill_options[] = {
	FILTERS,
	{"all", NULL, OPTION_FLAG, "all", "every one there is"},
	DRY_RUN,
	{0},
};
