/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "proxy/cookie.h"

#include "http/token.h"

/* Cuts the next pair off <rest>, trimmed; false at the end. */
static bool next_pair(struct slice *rest, struct slice *ret_pair)
{
	const char *semicolon;
	size_t len;

	if (rest->len == 0)
		return false;
	semicolon = memchr(rest->ptr, ';', rest->len);
	len = semicolon ? (size_t)(semicolon - rest->ptr) : rest->len;
	*ret_pair = slice_trim((struct slice){rest->ptr, len});
	len += semicolon ? 1 : 0;
	rest->ptr += len;
	rest->len -= len;
	return true;
}

static bool is_named(struct slice pair, struct slice name)
{
	return pair.len > name.len && slice_starts(pair, name) && pair.ptr[name.len] == '=';
}

static bool find_in(struct slice rest, struct slice name, struct slice *ret_value)
{
	struct slice pair;

	while (next_pair(&rest, &pair)) {
		if (!is_named(pair, name))
			continue;
		*ret_value = (struct slice){pair.ptr + name.len + 1, pair.len - name.len - 1};
		return true;
	}
	return false;
}

bool cookie_find(const struct http_head *head, struct slice name, struct slice *ret_value)
{
	for (unsigned i = 0; i < head->n_headers; i++) {
		const struct http_header *header = &head->headers[i];

		if (header->id == HTTP_H_COOKIE && !header->hop &&
		    find_in(header->value, name, ret_value))
			return true;
	}
	return false;
}

static void put_without(struct slice rest, struct slice name, struct http_writer *w)
{
	bool first = true;
	struct slice pair;

	while (next_pair(&rest, &pair)) {
		if (pair.len == 0 || is_named(pair, name))
			continue;
		http_put(w, first ? SLICE("Cookie: ") : SLICE("; "));
		http_put(w, pair);
		first = false;
	}
	if (!first)
		http_put(w, SLICE("\r\n"));
}

void cookie_put_others(struct http_head *head, struct slice name, struct http_writer *w)
{
	for (unsigned i = 0; i < head->n_headers; i++) {
		struct http_header *header = &head->headers[i];
		struct slice value;

		if (header->id != HTTP_H_COOKIE || header->hop ||
		    !find_in(header->value, name, &value))
			continue;
		put_without(header->value, name, w);
		header->hop = true;
	}
}
