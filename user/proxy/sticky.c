/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "proxy/sticky.h"

#include <errno.h>

#include "http/token.h"
#include "proxy/cookie.h"
#include "proxy/reply_edit.h"

static const char *const same_site_words[] = {
	[SAME_SITE_LAX] = "Lax", [SAME_SITE_STRICT] = "Strict", [SAME_SITE_NONE] = "None"};

uint64_t sticky_read(const struct sticky_spec *spec, const struct http_head *head)
{
	struct slice value;
	uint64_t token = 0;

	if (!cookie_find(head, slice_of(spec->cookie), &value) || value.len != STICKY_TOKEN_LEN)
		return 0;
	for (size_t i = 0; i < value.len; i++) {
		char c = value.ptr[i];

		if (!byte_is(c, BYTE_HEX) || (c >= 'A' && c <= 'F'))
			return 0;
		token = token << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
	}
	return token;
}

struct slice sticky_write(uint64_t token, char text[static STICKY_TOKEN_LEN])
{
	hex_write(token, text);
	return (struct slice){text, STICKY_TOKEN_LEN};
}

static const struct view_member *find(const struct view *view, uint64_t token)
{
	for (uint32_t i = 0; view && i < view->count; i++) {
		if (view->members[i].token == token)
			return &view->members[i];
	}
	return NULL;
}

const struct view_member *sticky_member(const struct snapshot_pool *pool,
					const struct sticky_ask *ask)
{
	const struct view_member *member =
		find(pool->balancer ? pool->balancer->view : NULL, ask->token);

	if (member)
		return member;
	member = find(pool->draining, ask->token);
	return member && ask->now_ms < member->since_ms + ask->drain_ms ? member : NULL;
}

int sticky_pool(const struct snapshot *snapshot, const uint32_t *pools, uint32_t n,
		const struct sticky_ask *ask)
{
	for (uint32_t i = 0; ask->token && i < n; i++) {
		if (sticky_member(&snapshot->pools[pools[i]], ask))
			return (int)pools[i];
	}
	return -1;
}

int sticky_note(const struct sticky_spec *spec, struct wire *out)
{
	struct http_writer w = {.ptr = out->data + out->len, .size = WIRE_ROOM - out->len};

	http_put(&w, SLICE("*Set-Cookie:"));
	http_put(&w, slice_of(spec->cookie));
	http_put(&w, SLICE("=" REPLY_TOKEN "; Path="));
	http_put(&w, slice_of(spec->path));
	if (spec->max_age_ms > 0) {
		http_put(&w, SLICE("; Max-Age="));
		http_put_number(&w, spec->max_age_ms / 1000);
	}
	if (spec->secure)
		http_put(&w, SLICE("; Secure"));
	if (spec->http_only)
		http_put(&w, SLICE("; HttpOnly"));
	http_put(&w, SLICE("; SameSite="));
	http_put(&w, slice_of(same_site_words[spec->same_site]));
	http_put(&w, SLICE("\n"));
	if (w.overflow)
		return -EMSGSIZE;
	out->len += (uint32_t)w.len;
	return 0;
}
