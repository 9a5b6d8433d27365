/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "proxy/reply_edit.h"

#include <errno.h>

#include "http/header.h"

static const char marks[] = {[HEADER_REMOVE] = '-', [HEADER_SET] = '=', [HEADER_ADD] = '+'};

struct note {
	char mark;
	struct slice name;
	struct slice value;
};

/* The backend is not known yet. */
static struct slice value_of(void *ctx, int field)
{
	return field == VARIABLE_BACKEND ? SLICE(REPLY_BACKEND) : variables_value(ctx, field);
}

int reply_edit_note(const struct header_edits *edits, struct variables *variables, struct wire *out)
{
	struct http_writer w = {.ptr = out->data + out->len, .size = WIRE_ROOM - out->len};

	for (uint32_t i = 0; i < edits->n; i++) {
		const struct header_edit *edit = &edits->edits[i];

		http_put(&w, (struct slice){&marks[edit->op], 1});
		http_put(&w, edit->name);
		http_put(&w, SLICE(":"));
		format_expand(&edit->value, value_of, variables, &w);
		http_put(&w, SLICE("\n"));
	}
	if (w.overflow)
		return -EMSGSIZE;
	out->len += (uint32_t)w.len;
	return 0;
}

/* Names are tokens and values hold no line end. */
static bool next(struct slice *rest, struct note *note)
{
	const char *end = rest->len ? memchr(rest->ptr, '\n', rest->len) : NULL;
	const char *colon;

	if (!end)
		return false;
	colon = memchr(rest->ptr, ':', (size_t)(end - rest->ptr));
	if (!colon)
		return false;
	note->mark = rest->ptr[0];
	note->name = (struct slice){rest->ptr + 1, (size_t)(colon - rest->ptr) - 1};
	note->value = (struct slice){colon + 1, (size_t)(end - colon) - 1};
	rest->len -= (size_t)(end + 1 - rest->ptr);
	rest->ptr = end + 1;
	return true;
}

uint32_t reply_edit_withhold(struct slice notes, struct http_head *head)
{
	uint32_t taken = 0;
	struct note note;

	while (next(&notes, &note)) {
		bool hop;

		if (note.mark != '-' && note.mark != '=')
			continue;
		taken |= 1U << http_header_identify(note.name, &hop);
		if (head)
			header_withhold(head, note.name);
	}
	return taken;
}

static void put_value(struct slice value, const struct reply_backend *backend,
		      struct http_writer *w)
{
	size_t from = 0;

	for (size_t i = 0; i < value.len; i++) {
		if (value.ptr[i] != REPLY_BACKEND[0] && value.ptr[i] != REPLY_TOKEN[0])
			continue;
		http_put(w, (struct slice){value.ptr + from, i - from});
		http_put(w, value.ptr[i] == REPLY_BACKEND[0] ? backend->name : backend->token);
		from = i + 1;
	}
	http_put(w, (struct slice){value.ptr + from, value.len - from});
}

void reply_edit_put(struct slice notes, const struct reply_backend *backend, struct http_writer *w)
{
	struct note note;

	while (next(&notes, &note)) {
		if (note.mark == '-' || (note.mark == '*' && !backend->moved))
			continue;
		http_put(w, note.name);
		http_put(w, SLICE(": "));
		put_value(note.value, backend, w);
		http_put(w, SLICE("\r\n"));
	}
}
