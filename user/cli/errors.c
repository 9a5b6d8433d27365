/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <stdio.h>

#include "cli/request.h"

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

static int number_of(const json_t *object, const char *key)
{
	return (int)json_integer_value(json_object_get(object, key));
}

/* "   16  Host : a\x0D\x0A", and below it '^' under the byte that is wrong. */
static void print_line(const json_t *line)
{
	int width = number_of(line, "mark_width");

	printf("  %5d  %s\n", number_of(line, "offset"), text_of(line, "text"));
	if (width == 0)
		return;
	printf("  %5s  %*s", "", number_of(line, "mark"), "");
	while (width-- > 0)
		(void)putchar('^');
	(void)putchar('\n');
}

static void print_error(const json_t *error)
{
	const json_t *line;
	struct buffer age = {0};
	size_t i;

	print_duration(&age, json_integer_value(json_object_get(error, "age_ms")));
	printf("service '%s': %s of ", text_of(error, "service"), text_of(error, "message"));
	if (*text_of(error, "backend"))
		printf("backend '%s' for ", text_of(error, "backend"));
	printf("%s, %s ago, refused with %d: %s at byte %d (%d such so far)\n",
	       text_of(error, "peer"), age.ptr ? age.ptr : "?", number_of(error, "status"),
	       text_of(error, "reason"), number_of(error, "offset"), number_of(error, "count"));
	json_array_foreach (json_object_get(error, "excerpt"), i, line)
		print_line(line);
	buffer_fini(&age);
}

static void print_errors(const json_t *answer)
{
	const json_t *list = json_object_get(answer, "errors");
	const json_t *error;
	size_t i;

	if (json_array_size(list) == 0)
		puts("no message was refused");
	json_array_foreach (list, i, error)
		print_error(error);
}

static enum cli_exit errors(const struct call *call)
{
	struct buffer path = path_of("errors", NULL);

	if (call->n_args > 0)
		path_query(&path, "service", call->args[0]);
	return request_print(call, path, print_errors);
}

static const struct verb verbs[] = {
	{NULL, "[SERVICE]", 0, 1, NULL, "the last message refused because of its bytes", errors},
	{0},
};
const struct noun errors_noun = {"errors", "the last message refused because of its bytes", verbs};
