/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <stdio.h>
#include <time.h>

#include "base/parse.h"
#include "cli/request.h"

struct monitor {
	bool json;
	uint64_t left; /* events to print; 0: no end */
};

static void print_time(const json_t *ms)
{
	time_t seconds = (time_t)(json_integer_value(ms) / 1000);
	struct tm tm;
	char text[32] = "?";

	if (localtime_r(&seconds, &tm))
		(void)strftime(text, sizeof(text), "%H:%M:%S", &tm);
	printf("%s.%03d ", text, (int)(json_integer_value(ms) % 1000));
}

static void print_text(const json_t *event, const char *key, const char *before)
{
	const json_t *value = json_object_get(event, key);
	struct buffer text = {0};

	if (!json_is_string(value))
		return;
	print_value(&text, value);
	printf("%s%s", before, text.failed ? "?" : text.ptr);
	buffer_fini(&text);
}

static void print_event(const json_t *event)
{
	print_time(json_object_get(event, "time"));
	print_text(event, "kind", "");
	print_text(event, "object", " ");
	print_text(event, "from", ": ");
	print_text(event, "to", " -> ");
	print_text(event, "reason", ": ");
	(void)putchar('\n');
}

static bool on_event(void *ctx, const json_t *event)
{
	struct monitor *monitor = ctx;

	if (monitor->json) {
		(void)json_dumpf(event, stdout, JSON_COMPACT);
		(void)putchar('\n');
	} else {
		print_event(event);
	}
	/* Whoever reads this by a pipe wants it now, and the reader may be gone. */
	if (fflush(stdout) != 0)
		return false;
	return monitor->left == 0 || --monitor->left > 0;
}

static enum cli_exit monitor(const struct call *call)
{
	struct monitor monitor = {.json = call->json};
	struct buffer path = path_of("events", NULL);
	const char *count = call_value(call, "count");
	const char *after = call_value(call, "after");
	enum cli_exit r;

	if (count)
		(void)parse_u64(slice_of(count), &monitor.left);
	if (after)
		path_query(&path, "after", after);
	r = api_stream(call, path.ptr, on_event, &monitor);
	buffer_fini(&path);
	return r;
}

static const struct option options[] = {
	{"after", "SEQ", OPTION_NUMBER, NULL, "begin behind this event; 0: with the oldest kept"},
	{"count", "N", OPTION_NUMBER, NULL, "end after so many"},
	{0},
};

static const struct verb verbs[] = {
	{NULL, "", 0, 0, options,
	 "events as they happen: health, state, packets refused or dropped", monitor},
	{0},
};
const struct noun monitor_noun = {"monitor", "events as they happen", verbs};
