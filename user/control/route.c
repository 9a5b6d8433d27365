/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "control/route.h"

#include <stdlib.h>
#include <string.h>

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decodes in place; false for a bad escape and for a NUL, which would cut the text. */
static bool decode(char *text, bool plus_is_space)
{
	char *out = text;

	for (; *text; text++) {
		int high, low;

		if (*text != '%') {
			*out++ = plus_is_space && *text == '+' ? ' ' : *text;
			continue;
		}
		high = hex_value(text[1]);
		low = high < 0 ? -1 : hex_value(text[2]);
		if (low < 0 || (high == 0 && low == 0))
			return false;
		*out++ = (char)(high << 4 | low);
		text += 2;
	}
	*out = '\0';
	return true;
}

/* Cuts at the first <separator>; returns what is behind it, or NULL. */
static char *cut(char *text, char separator)
{
	char *at = strchr(text, separator);

	if (!at)
		return NULL;
	*at = '\0';
	return at + 1;
}

/* Segments are cut before they are decoded: "%2F" is a letter of a name, not a border. */
static const char *parse_path(char *path, struct route_target *target)
{
	if (path[0] != '/')
		return "the path must begin with '/'";
	for (char *next = path + 1; next;) {
		char *segment = next;

		next = cut(segment, '/');
		if (target->n_segments == ROUTE_MAX_SEGMENTS)
			return "the path has too many segments";
		if (!decode(segment, false))
			return "the path has a bad percent escape";
		target->segments[target->n_segments++] = segment;
	}
	return NULL;
}

static const char *parse_query(char *query, struct route_target *target)
{
	while (query) {
		char *name = query;
		char *value;

		query = cut(name, '&');
		if (!*name)
			continue;
		value = cut(name, '=');
		if (target->n_params == CONTROL_MAX_PARAMS)
			return "the query has too many parameters";
		if (!decode(name, true) || (value && !decode(value, true)))
			return "the query has a bad percent escape";
		target->params[target->n_params++] =
			(struct control_param){.name = name, .value = value ? value : ""};
	}
	return NULL;
}

const char *route_target_parse(const char *text, struct route_target *ret_target)
{
	struct route_target target = {.text = strdup(text)};
	const char *problem;
	char *query;

	if (!target.text)
		return "out of memory";
	query = cut(target.text, '?');
	problem = parse_path(target.text, &target);
	if (!problem)
		problem = parse_query(query, &target);
	if (problem)
		route_target_fini(&target);
	else
		*ret_target = target;
	return problem;
}

void route_target_fini(struct route_target *target)
{
	free(target->text);
	*target = (struct route_target){0};
}

bool route_match(const char *pattern, const struct route_target *target,
		 const char *ret_args[static CONTROL_MAX_ARGS])
{
	const char *args[CONTROL_MAX_ARGS] = {NULL};
	unsigned n_args = 0;

	for (unsigned i = 0; i < target->n_segments; i++) {
		const char *segment = target->segments[i];
		size_t len;

		if (*pattern++ != '/')
			return false;
		len = strcspn(pattern, "/");
		if (len == 1 && *pattern == '*') {
			if (!*segment || n_args == CONTROL_MAX_ARGS)
				return false;
			args[n_args++] = segment;
		} else if (strlen(segment) != len || memcmp(segment, pattern, len) != 0) {
			return false;
		}
		pattern += len;
	}
	if (*pattern)
		return false;
	memcpy(ret_args, args, sizeof(args));
	return true;
}
