/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "cli/cli.h"

#include <string.h>

#include "base/parse.h"

const char *call_value(const struct call *call, const char *name)
{
	const struct option *options = call->verb->options;

	for (int i = 0; options && options[i].name; i++) {
		if (strcmp(options[i].name, name) == 0)
			return call->values[i];
	}
	return NULL;
}

static json_t *list_of(const char *text)
{
	json_t *list = json_array();

	while (list && strcmp(text, "none") != 0) {
		size_t len = strcspn(text, ",");

		if (json_array_append_new(list, json_stringn(text, len)) < 0) {
			json_decref(list);
			return NULL;
		}
		if (text[len] == '\0')
			break;
		text += len + 1;
	}
	return list;
}

static json_t *pairs_of(const char *text)
{
	json_t *pairs = json_object();

	while (pairs) {
		size_t name = strcspn(text, "=,");
		size_t len = strcspn(text, ",");
		const char *value = name < len ? text + name + 1 : "";

		if (json_object_setn_new(pairs, text, name,
					 json_stringn(value, name < len ? len - name - 1 : 0)) <
		    0) {
			json_decref(pairs);
			return NULL;
		}
		if (text[len] == '\0')
			break;
		text += len + 1;
	}
	return pairs;
}

static json_t *json_of(const struct option *option, const char *value)
{
	uint64_t number = 0;

	switch (option->kind) {
	case OPTION_FLAG:
		return json_true();
	case OPTION_NUMBER:
		(void)parse_u64(slice_of(value), &number); /* it was checked when it was parsed */
		return json_integer((json_int_t)number);
	case OPTION_LIST:
		return list_of(value);
	case OPTION_PAIRS:
		return pairs_of(value);
	default:
		return json_string(value);
	}
}

/* Takes <value>; "health.type" goes into an object "health", made if need be. */
static int put(json_t *body, const char *key, json_t *value)
{
	const char *dot = strchr(key, '.');
	char outer[32];
	json_t *inner;

	if (!dot)
		return json_object_set_new(body, key, value);
	memcpy(outer, key, (size_t)(dot - key)); /* our own tables: short words */
	outer[dot - key] = '\0';
	inner = json_object_get(body, outer);
	if (!inner) {
		inner = json_object();
		if (json_object_set_new(body, outer, inner) < 0) {
			json_decref(value);
			return -1;
		}
	}
	return json_object_set_new(inner, dot + 1, value);
}

json_t *call_body(const struct call *call)
{
	const struct option *options = call->verb->options;
	json_t *body = json_object();

	for (int i = 0; body && options && options[i].name; i++) {
		if (!call->values[i] || !options[i].key)
			continue;
		if (put(body, options[i].key, json_of(&options[i], call->values[i])) < 0) {
			json_decref(body);
			return NULL;
		}
	}
	return body;
}

bool call_changes_something(const struct call *call)
{
	const struct option *options = call->verb->options;

	for (int i = 0; options && options[i].name; i++) {
		if (call->values[i] && options[i].key)
			return true;
	}
	complain("nothing to change: see 'lbadm %s %s --help'", call->noun->name, call->verb->name);
	return false;
}
