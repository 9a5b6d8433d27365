/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "proxy/header_edit.h"

#include <errno.h>
#include <stdlib.h>

#include "http/header.h"

static enum http_header_id id_of(struct slice name)
{
	bool hop;

	return http_header_identify(name, &hop);
}

int header_edits_init(struct header_edits *edits, const struct headers_spec *spec)
{
	struct error err = {0};
	int r = 0;

	*edits = (struct header_edits){0};
	if (spec->n == 0)
		return 0;
	edits->edits = calloc(spec->n, sizeof(*edits->edits));
	if (!edits->edits)
		return -ENOMEM;
	for (uint32_t i = 0; r == 0 && i < spec->n; i++) {
		struct header_edit *edit = &edits->edits[i];

		edit->op = spec->headers[i].op;
		edit->name = slice_of(spec->headers[i].name);
		if (edit->op != HEADER_ADD)
			edits->taken |= 1U << id_of(edit->name);
		r = format_compile(slice_of(spec->headers[i].value), &variable_names, &edit->value,
				   &err);
		edits->n++;
	}
	if (r < 0)
		header_edits_fini(edits);
	return r;
}

void header_edits_fini(struct header_edits *edits)
{
	for (uint32_t i = 0; i < edits->n; i++)
		format_fini(&edits->edits[i].value);
	free(edits->edits);
	*edits = (struct header_edits){0};
}

void header_withhold(struct http_head *head, struct slice name)
{
	for (unsigned i = 0; i < head->n_headers; i++) {
		if (slice_caseeq(head->headers[i].name, name))
			head->headers[i].hop = true;
	}
}

void header_edits_withhold(const struct header_edits *edits, struct http_head *head)
{
	for (uint32_t i = 0; i < edits->n; i++) {
		if (edits->edits[i].op != HEADER_ADD)
			header_withhold(head, edits->edits[i].name);
	}
}

const struct format *header_edits_host(const struct header_edits *edits)
{
	if (!header_edits_take(edits, HTTP_H_HOST))
		return NULL;
	for (uint32_t i = 0; i < edits->n; i++) {
		if (id_of(edits->edits[i].name) == HTTP_H_HOST)
			return &edits->edits[i].value;
	}
	return NULL;
}

void header_edits_put(const struct header_edits *edits, format_lookup_fn *lookup, void *ctx,
		      struct http_writer *w)
{
	for (uint32_t i = 0; i < edits->n; i++) {
		const struct header_edit *edit = &edits->edits[i];

		if (edit->op == HEADER_REMOVE || slice_caseeq(edit->name, SLICE("host")))
			continue;
		http_put(w, edit->name);
		http_put(w, SLICE(": "));
		format_expand(&edit->value, lookup, ctx, w);
		http_put(w, SLICE("\r\n"));
	}
}
