/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Headers that a route sets, adds and removes. */
#include <stdlib.h>
#include <string.h>

#include "config/objects.h"
#include "observe/spec.h"

#define MAX_HEADERS 64

/* What is being filled, and whose headers they are. */
struct reading {
	struct build *build;
	struct headers_spec *headers;
	bool response;
};

static bool has_control(const char *text)
{
	for (const char *c = text; *c; c++) {
		if (((unsigned char)*c < ' ' && *c != '\t') || *c == 0x7f)
			return true;
	}
	return false;
}

static bool check_value(const struct reading *reading, const struct place *place)
{
	const char *text = place->doc->text;
	struct error err = {0};

	if (has_control(text))
		complain(reading->build, place, "the value holds a control character: remove it");
	else if (strspn(text, " \t") > 0)
		complain(reading->build, place, "the value begins with white space: remove it");
	else if (format_check(slice_of(text), &variable_names, &err) < 0)
		complain(reading->build, place, "'%.64s': %s", text, err.message);
	else if (!reading->response && strstr(text, "${backend}"))
		complain(reading->build, place,
			 "'${backend}' is known in 'response-headers' only: the backend is chosen "
			 "after the request is written");
	else
		return true;
	return false;
}

static bool check_name(const struct reading *reading, const struct place *place, enum header_op op,
		       const char *name)
{
	const char *why = header_name_fault(op, slice_of(name), reading->response);

	if (why)
		complain_key(reading->build, place, "'%.64s' %s", name, why);
	return !why;
}

static void append(const struct reading *reading, enum header_op op, const char *name,
		   const char *value)
{
	struct headers_spec *headers = reading->headers;
	struct header_spec *header = &headers->headers[headers->n];

	*header = (struct header_spec){.op = op, .name = strdup(name), .value = strdup(value)};
	headers->n++;
	if (!header->name || !header->value)
		report_add(reading->build->report, 0, 0, "", "out of memory");
}

static void read_removals(const struct reading *reading, const struct place *place)
{
	bool list = place->doc->kind == DOC_LIST;

	for (const struct doc *child = list ? place->doc->first : place->doc; child;
	     child = list ? child->next : NULL) {
		struct place at = place_child(place, child, "header");

		if (expect_kind(reading->build, &at, DOC_SCALAR) &&
		    check_name(reading, &at, HEADER_REMOVE, child->text))
			append(reading, HEADER_REMOVE, child->text, "");
	}
}

static void read_values(const struct reading *reading, const struct place *place, enum header_op op)
{
	if (!expect_kind(reading->build, place, DOC_MAP))
		return;
	for (const struct doc *child = place->doc->first; child; child = child->next) {
		struct place at = place_child(place, child, child->key);

		if (!check_name(reading, &at, op, child->key) ||
		    !expect_kind(reading->build, &at, DOC_SCALAR) || !check_value(reading, &at))
			continue;
		append(reading, op, child->key, child->text);
	}
}

static uint32_t count_all(const struct doc *doc)
{
	uint32_t n = 0;

	for (const struct doc *child = doc->first; child; child = child->next)
		n += child->kind == DOC_SCALAR ? 1 : doc_count(child);
	return n;
}

/* Their order here is the order in which they are applied. */
static void read_part(const struct reading *reading, const struct place *place, enum header_op op)
{
	static const char *const names[] = {
		[HEADER_REMOVE] = "remove", [HEADER_SET] = "set", [HEADER_ADD] = "add"};
	const struct doc *doc = doc_get(place->doc, names[op]);
	struct place at;

	if (!doc || doc->kind == DOC_NULL)
		return;
	at = place_child(place, doc, names[op]);
	if (op == HEADER_REMOVE)
		read_removals(reading, &at);
	else
		read_values(reading, &at, op);
}

static void read_later(struct build *build, const struct place *place, void *out)
{
	(void)build; /* read_part() takes them, in its own order */
	(void)place;
	(void)out;
}

static const struct key header_keys[] = {
	{"set", KEY_OBJECT, 0, 0, 0, NULL, read_later},
	{"add", KEY_OBJECT, 0, 0, 0, NULL, read_later},
	{"remove", KEY_OBJECT, 0, 0, 0, NULL, read_later},
};

static void read_all(struct build *build, const struct place *place, struct headers_spec *headers,
		     bool response)
{
	struct reading reading = {.build = build, .headers = headers, .response = response};

	keys_read(build, place, header_keys, COUNT(header_keys), headers);
	if (place->doc->kind != DOC_MAP)
		return;
	if (count_all(place->doc) > MAX_HEADERS) {
		complain(build, place, "at most %d headers", MAX_HEADERS);
		return;
	}
	headers->headers = build_array(build, count_all(place->doc), sizeof(*headers->headers));
	for (int op = HEADER_REMOVE; headers->headers && op <= HEADER_ADD; op++)
		read_part(&reading, place, (enum header_op)op);
}

void read_request_headers(struct build *build, const struct place *place, void *out)
{
	read_all(build, place, out, false);
}

void read_response_headers(struct build *build, const struct place *place, void *out)
{
	read_all(build, place, out, true);
}
