/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "proxy/forwarded.h"

#include "http/token.h"

/* ---- Who the client is ---------------------------------------------------------------------- */

static bool is_trusted(const struct service_spec *service, const struct addr *addr)
{
	for (uint32_t i = 0; i < service->n_trusted; i++) {
		if (prefix_has(&service->trusted[i], addr->ip))
			return true;
	}
	return false;
}

/* A walk along the hops from the first on: who is it, as far as they can be believed? */
struct walk {
	const struct service_spec *service;
	struct addr client;
	bool found;
};

/* A hop that is no trusted proxy's is the client, whatever was said before; of trusted ones the
 * first since the list could be read. */
static void pass_hop(struct walk *walk, struct slice text)
{
	struct addr addr;

	if (addr_parse(text, false, &addr) != NULL || addr_is_any(&addr)) {
		walk->found = false;
		return;
	}
	if (walk->found && is_trusted(walk->service, &addr))
		return;
	walk->client = addr;
	walk->found = true;
}

static void walk_list(struct walk *walk, struct slice value)
{
	struct slice hop;

	while (list_next(&value, &hop)) {
		if (hop.len > 0)
			pass_hop(walk, hop);
	}
}

/* ---- Forwarded, RFC 7239 section 4 ---------------------------------------------------------- */

/* A parameter: <end> is ',', ';' or NUL for the end of the text. */
struct parameter {
	struct slice name;
	struct slice value; /* without the quotes; \-escapes stay and fit no address */
	char end;
};

static void skip_space(struct slice *rest)
{
	while (rest->len > 0 && (*rest->ptr == ' ' || *rest->ptr == '\t')) {
		rest->ptr++;
		rest->len--;
	}
}

static struct slice take(struct slice *rest, size_t n)
{
	struct slice taken = {rest->ptr, n};

	rest->ptr += n;
	rest->len -= n;
	return taken;
}

static struct slice take_token(struct slice *rest)
{
	return take(rest,
		    (size_t)(byte_run(rest->ptr, rest->ptr + rest->len, BYTE_TOKEN) - rest->ptr));
}

static bool take_quoted(struct slice *rest, struct slice *ret_value)
{
	size_t i = 1;

	while (i < rest->len && rest->ptr[i] != '"')
		i += rest->ptr[i] == '\\' ? 2 : 1;
	if (i >= rest->len)
		return false;
	*ret_value = (struct slice){rest->ptr + 1, i - 1};
	(void)take(rest, i + 1);
	return true;
}

/* False for what is none. */
static bool take_parameter(struct slice *rest, struct parameter *parameter)
{
	parameter->name = take_token(rest);
	if (parameter->name.len == 0 || rest->len == 0 || *take(rest, 1).ptr != '=')
		return false;
	if (rest->len > 0 && *rest->ptr == '"') {
		if (!take_quoted(rest, &parameter->value))
			return false;
	} else {
		parameter->value = take_token(rest);
		if (parameter->value.len == 0)
			return false;
	}
	skip_space(rest);
	parameter->end = rest->len > 0 ? *take(rest, 1).ptr : '\0';
	return parameter->end == '\0' || parameter->end == ',' || parameter->end == ';';
}

/* Walks along the elements; false when they cannot be read. <walk> may be NULL. */
static bool read_forwarded(struct slice rest, struct walk *walk)
{
	struct slice hop = {NULL, 0};

	for (;;) {
		struct parameter parameter;

		skip_space(&rest);
		if (rest.len > 0 && *rest.ptr == ',' && !hop.ptr) {
			(void)take(&rest, 1); /* an empty element, RFC 9110 section 5.6.1 */
			continue;
		}
		if (rest.len == 0)
			return !hop.ptr;
		if (!take_parameter(&rest, &parameter))
			return false;
		if (slice_caseeq(parameter.name, SLICE("for")))
			hop = parameter.value;
		else if (!hop.ptr)
			hop = SLICE(""); /* an element that does not tell */
		if (parameter.end == ';')
			continue;
		if (walk)
			pass_hop(walk, hop);
		hop = (struct slice){NULL, 0};
	}
}

static void walk_head(struct walk *walk, const struct http_head *head, enum http_header_id id)
{
	for (unsigned i = 0; i < head->n_headers; i++) {
		const struct http_header *header = &head->headers[i];

		if (header->id != id)
			continue;
		if (id == HTTP_H_X_FORWARDED_FOR)
			walk_list(walk, header->value);
		else if (!read_forwarded(header->value, walk))
			walk->found = false;
	}
}

void forwarded_find(const struct service_spec *service, const struct addr *peer,
		    const struct http_head *head, struct forwarded *ret_forwarded)
{
	struct walk walk = {.service = service};
	enum http_header_id id = HTTP_H_X_FORWARDED_FOR;

	*ret_forwarded = (struct forwarded){.peer = *peer, .client = *peer};
	if (service->n_trusted == 0 || !is_trusted(service, peer))
		return;
	ret_forwarded->trusted = true;
	if (!http_find(head, id))
		id = HTTP_H_FORWARDED;
	walk_head(&walk, head, id);
	if (walk.found)
		ret_forwarded->client = walk.client;
}

/* ---- What the backend is told --------------------------------------------------------------- */

/* The values of all lines, each followed by ", ", taken out of what is passed on. */
static void put_before(struct http_head *head, enum http_header_id id, struct http_writer *w)
{
	for (unsigned i = 0; i < head->n_headers; i++) {
		struct http_header *header = &head->headers[i];

		if (header->id != id || header->hop || header->value.len == 0)
			continue;
		http_put(w, header->value);
		http_put(w, SLICE(", "));
	}
}

static void withhold(struct http_head *head, enum http_header_id id)
{
	for (unsigned i = 0; i < head->n_headers; i++) {
		if (head->headers[i].id == id)
			head->headers[i].hop = true;
	}
}

/* Sections 4 and 6: what is not a token is quoted, IPv6 is in brackets. */
static void put_value(struct http_writer *w, struct slice text)
{
	bool quoted = !token_valid(text);

	if (quoted)
		http_put(w, SLICE("\""));
	http_put(w, text);
	if (quoted)
		http_put(w, SLICE("\""));
}

static void put_element(const struct forwarded *forwarded, struct slice ip, const char *proto,
			const struct http_head *head, struct http_writer *w)
{
	bool v4 = addr_is_ipv4(&forwarded->peer);

	http_put(w, v4 ? SLICE("for=") : SLICE("for=\"["));
	http_put(w, ip);
	if (!v4)
		http_put(w, SLICE("]\""));
	if (head->authority.len > 0) {
		http_put(w, SLICE(";host="));
		put_value(w, head->authority);
	}
	http_put(w, SLICE(";proto="));
	http_put(w, slice_of(proto));
	http_put(w, SLICE("\r\n"));
}

/* A line that cannot be read could swallow what is appended. */
static bool can_be_continued(const struct http_head *head)
{
	for (unsigned i = 0; i < head->n_headers; i++) {
		if (head->headers[i].id == HTTP_H_FORWARDED &&
		    !read_forwarded(head->headers[i].value, NULL))
			return false;
	}
	return true;
}

/* A header of one value: a trusted peer's own is passed on. */
static void put_single(const struct forwarded *forwarded, const struct http_header *ours,
		       struct http_head *head, struct http_writer *w)
{
	if (forwarded->trusted && http_find(head, ours->id))
		return;
	withhold(head, ours->id);
	if (ours->value.len > 0)
		http_put_header(w, ours->name, ours->value);
}

void forwarded_put(const struct forwarded *forwarded, const char *proto, uint32_t taken,
		   struct http_head *head, struct http_writer *w)
{
	char text[ADDR_TEXT_LEN];
	struct slice ip = slice_of(addr_format_ip(&forwarded->peer, text));
	const struct http_header ours[] = {
		{SLICE("X-Forwarded-Proto"), slice_of(proto), HTTP_H_X_FORWARDED_PROTO, false},
		{SLICE("X-Forwarded-Host"), head->authority, HTTP_H_X_FORWARDED_HOST, false},
	};

	if (!(taken & 1U << HTTP_H_X_FORWARDED_FOR)) {
		http_put(w, SLICE("X-Forwarded-For: "));
		if (forwarded->trusted)
			put_before(head, HTTP_H_X_FORWARDED_FOR, w);
		http_put(w, ip);
		http_put(w, SLICE("\r\n"));
		withhold(head, HTTP_H_X_FORWARDED_FOR);
	}
	if (!(taken & 1U << HTTP_H_FORWARDED)) {
		http_put(w, SLICE("Forwarded: "));
		if (forwarded->trusted && can_be_continued(head))
			put_before(head, HTTP_H_FORWARDED, w);
		put_element(forwarded, ip, proto, head, w);
		withhold(head, HTTP_H_FORWARDED);
	}
	for (size_t i = 0; i < 2; i++)
		if (!(taken & 1U << ours[i].id))
			put_single(forwarded, &ours[i], head, w);
}
