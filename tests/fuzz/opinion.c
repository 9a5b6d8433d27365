/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "opinion.h"

#include <llhttp.h>
#include <stddef.h>

static struct opinion *opinion_of(llhttp_t *parser)
{
	return parser->data;
}

static void extend(struct opinion *opinion, struct slice *text, const char *at, size_t len)
{
	if (text->ptr && text->ptr + text->len != at && !opinion->head_done)
		opinion->torn = true;
	if (!text->ptr)
		text->ptr = at;
	text->len += len;
}

static int on_url(llhttp_t *parser, const char *at, size_t len)
{
	extend(opinion_of(parser), &opinion_of(parser)->url, at, len);
	return 0;
}

static int on_name(llhttp_t *parser, const char *at, size_t len)
{
	struct opinion *opinion = opinion_of(parser);

	if (opinion->in_value || opinion->n_fields == 0) {
		if (opinion->n_fields == OPINION_FIELDS)
			return -1;
		opinion->fields[opinion->n_fields++] = (struct opinion_field){0};
		opinion->in_value = false;
	}
	extend(opinion, &opinion->fields[opinion->n_fields - 1].name, at, len);
	return 0;
}

static int on_value(llhttp_t *parser, const char *at, size_t len)
{
	struct opinion *opinion = opinion_of(parser);

	opinion->in_value = true;
	extend(opinion, &opinion->fields[opinion->n_fields - 1].value, at, len);
	return 0;
}

static int on_value_complete(llhttp_t *parser)
{
	opinion_of(parser)->in_value = true;
	return 0;
}

static int on_head(llhttp_t *parser)
{
	struct opinion *opinion = opinion_of(parser);

	opinion->head_done = true;
	opinion->n_head_fields = opinion->n_fields;
	opinion->chunked = parser->flags & F_CHUNKED;
	opinion->has_length = !opinion->chunked && (parser->flags & F_CONTENT_LENGTH);
	opinion->length = parser->content_length;
	opinion->close = parser->flags & F_CONNECTION_CLOSE;
	opinion->minor = parser->http_minor;
	opinion->status = parser->status_code;
	opinion->method = parser->type == HTTP_REQUEST ? llhttp_method_name(parser->method) : "";
	if (opinion->no_body)
		parser->flags |= F_SKIPBODY;
	opinion->keep_alive = llhttp_should_keep_alive(parser);
	return opinion->no_body ? 1 : 0;
}

static int on_body(llhttp_t *parser, const char *at, size_t len)
{
	struct opinion *opinion = opinion_of(parser);

	memcpy(opinion->body + opinion->body_len, at, len);
	opinion->body_len += len;
	return 0;
}

static int on_done(llhttp_t *parser)
{
	opinion_of(parser)->done = true;
	return HPE_PAUSED;
}

void opinion_ask(struct opinion *opinion, struct slice text, bool response, bool no_body)
{
	static llhttp_settings_t settings;
	llhttp_t parser;
	llhttp_errno_t err;

	llhttp_settings_init(&settings);
	settings.on_url = on_url;
	settings.on_header_field = on_name;
	settings.on_header_value = on_value;
	settings.on_header_value_complete = on_value_complete;
	settings.on_headers_complete = on_head;
	settings.on_body = on_body;
	settings.on_message_complete = on_done;
	memset(opinion, 0, offsetof(struct opinion, body));
	opinion->body_len = 0;
	opinion->no_body = no_body;
	llhttp_init(&parser, response ? HTTP_RESPONSE : HTTP_REQUEST, &settings);
	parser.data = opinion;
	err = llhttp_execute(&parser, text.ptr, text.len);
	/* It looks at the coding behind the head only. */
	if (err == HPE_INVALID_TRANSFER_ENCODING)
		opinion->head_done = false;
	opinion->refused = err != HPE_OK && !opinion->done;
	opinion->end = text.len;
	if (opinion->done && llhttp_get_error_pos(&parser))
		opinion->end = (size_t)(llhttp_get_error_pos(&parser) - text.ptr);
}
