/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "cli/request.h"

#include <stdarg.h>
#include <stdio.h>

#include "cli/draining.h"
#include "cli/moves.h"

struct buffer path_of(const char *collection, const char *name)
{
	struct buffer path = {0};

	buffer_print(&path, "/v1/%s", collection);
	if (name)
		path_segment(&path, name);
	return path;
}

struct buffer path_of_backend(const char *pool, const char *name)
{
	struct buffer path = path_of("pools", pool);

	path_segment(&path, "backends");
	if (name)
		path_segment(&path, name);
	return path;
}

/* *ret_answer: to be shown; NULL: there is none, or it was printed as JSON. Frees <path>. */
static enum cli_exit get(const struct call *call, struct buffer *path, json_t **ret_answer)
{
	enum cli_exit r = api_call(call, "GET", path->ptr, NULL, ret_answer);

	buffer_fini(path);
	if (r == CLI_DONE && call->json) {
		print_json(*ret_answer);
		json_decref(*ret_answer);
		*ret_answer = NULL;
	}
	return r;
}

enum cli_exit request_list(const struct call *call, struct buffer path, const char *key,
			   const struct column *columns)
{
	json_t *answer = NULL;
	enum cli_exit r = get(call, &path, &answer);
	char none[64];

	(void)snprintf(none, sizeof(none), "no %s", key);
	if (answer)
		print_table(json_object_get(answer, key), columns, none);
	json_decref(answer);
	return r;
}

enum cli_exit request_print(const struct call *call, struct buffer path,
			    void (*print)(const json_t *answer))
{
	json_t *answer = NULL;
	enum cli_exit r = get(call, &path, &answer);

	if (answer)
		print(answer);
	json_decref(answer);
	return r;
}

enum cli_exit request_show(const struct call *call, struct buffer path, const char *except)
{
	json_t *answer = NULL;
	enum cli_exit r = get(call, &path, &answer);

	if (answer)
		print_record(answer, except);
	json_decref(answer);
	return r;
}

enum cli_exit request_count(const struct call *call, const char *method, struct buffer path,
			    const char *done)
{
	bool dry = call_value(call, "dry-run") != NULL;
	json_t *answer = NULL;
	enum cli_exit r;

	if (dry)
		path_query(&path, "dry_run", "1");
	r = api_call(call, method, path.ptr, NULL, &answer);
	buffer_fini(&path);
	if (r != CLI_DONE)
		return r;
	if (call->json)
		print_json(answer);
	else
		printf("%s%s%s%" JSON_INTEGER_FORMAT "\n",
		       dry ? "nothing was changed; would be: " : "", done, *done ? " " : "",
		       json_integer_value(json_object_get(answer, "count")));
	draining_note(answer);
	json_decref(answer);
	return CLI_DONE;
}

enum cli_exit request_change(const struct call *call, const char *method, struct buffer path,
			     json_t *body, const char *done, ...)
{
	bool dry = call_value(call, "dry-run") != NULL;
	json_t *answer = NULL;
	enum cli_exit r;
	va_list args;

	if (dry)
		path_query(&path, "dry_run", "1");
	r = api_call(call, method, path.ptr, body, &answer);
	buffer_fini(&path);
	if (r != CLI_DONE)
		return r;
	va_start(args, done);
	if (call->json) {
		print_json(answer);
	} else if (dry) {
		print_moves(answer);
	} else {
		(void)vprintf(done, args);
		(void)putchar('\n');
	}
	va_end(args);
	json_decref(answer);
	return CLI_DONE;
}
