/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the fields of a head say about this hop: Connection and the framing. */
#include <errno.h>
#include <limits.h>

#include "base/parse.h"
#include "http/header.h"
#include "http/token.h"

/* Each option is compared with each header. */
#define MAX_CONNECTION_OPTIONS 32

struct options {
	bool close;
	bool keep_alive;
	bool upgrade;
};

static void sort_fields(struct http_head *head, struct http_fields *fields)
{
	*fields = (struct http_fields){0};
	for (unsigned i = 0; i < head->n_headers; i++) {
		enum http_header_id id = head->headers[i].id;

		if (id != HTTP_H_OTHER && fields->count[id]++ == 0)
			fields->first[id] = &head->headers[i];
	}
}

/*
 * Names that a Connection field may not take out of a message: without them the message would be
 * framed, routed or attributed differently behind us (RFC 9110 section 7.6.1 forbids naming
 * fields that are meant for all recipients).
 */
static bool is_protected(enum http_header_id id)
{
	switch (id) {
	case HTTP_H_HOST:
	case HTTP_H_CONTENT_LENGTH:
	case HTTP_H_TRANSFER_ENCODING:
	case HTTP_H_X_FORWARDED_FOR:
	case HTTP_H_X_FORWARDED_PROTO:
	case HTTP_H_X_FORWARDED_HOST:
	case HTTP_H_FORWARDED:
	case HTTP_H_VIA:
		return true;
	default:
		return false;
	}
}

static void mark_hop(struct http_head *head, struct slice name)
{
	bool hop;

	/* It may come in the trailer section, when this list is forgotten (RFC 9110 section
	 * 7.6.1). */
	head->drop_trailers = head->drop_trailers || http_trailer_allowed(name);
	if (is_protected(http_header_identify(name, &hop)))
		return;
	for (unsigned i = 0; i < head->n_headers; i++) {
		if (slice_caseeq(head->headers[i].name, name))
			head->headers[i].hop = true;
	}
}

static void apply_option(struct http_head *head, struct slice option, struct options *options)
{
	if (slice_caseeq(option, SLICE("close")))
		options->close = true;
	else if (slice_caseeq(option, SLICE("keep-alive")))
		options->keep_alive = true;
	else if (slice_caseeq(option, SLICE("upgrade")))
		options->upgrade = true;
	else
		mark_hop(head, option);
}

static int read_connection(struct http_input *in, struct http_head *head, struct options *options)
{
	struct slice rest, option;
	unsigned n = 0;

	for (unsigned i = 0; i < head->n_headers; i++) {
		if (head->headers[i].id != HTTP_H_CONNECTION)
			continue;
		rest = head->headers[i].value;
		while (list_next(&rest, &option)) {
			if (++n > MAX_CONNECTION_OPTIONS)
				return http_refuse(in, 400, "too_many_options", option.ptr);
			if (option.len == 0)
				continue; /* RFC 9110 section 5.6.1 */
			if (!token_valid(option))
				return http_refuse(in, 400, "bad_connection", token_stop(option));
			apply_option(head, option, options);
		}
	}
	return 0;
}

/*
 * One Upgrade field that does not ask for HTTP/2: cleartext h2c would carry requests past us that
 * nobody has looked at (RFC 9113 section 3.1 has withdrawn it).
 */
static bool upgrade_allowed(const struct http_fields *fields)
{
	struct slice rest, protocol;

	if (fields->count[HTTP_H_UPGRADE] != 1)
		return false;
	rest = fields->first[HTTP_H_UPGRADE]->value;
	while (list_next(&rest, &protocol)) {
		if (protocol.len == 0 ||
		    (protocol.len >= 3 && strncasecmp(protocol.ptr, "h2c", 3) == 0))
			return false;
	}
	return true;
}

/* A list of codings; only "chunked" alone is one we can read (RFC 9112 section 6.1). */
static int read_coding(struct http_input *in, struct slice value)
{
	struct slice rest = value, coding;
	bool chunked = false;

	while (list_next(&rest, &coding)) {
		if (chunked || !token_valid(coding))
			return http_refuse(in, 400, "bad_transfer_encoding",
					   chunked ? coding.ptr : token_stop(coding));
		chunked = slice_caseeq(coding, SLICE("chunked"));
	}
	if (!slice_caseeq(value, SLICE("chunked")))
		return http_refuse(in, 501, "unknown_transfer_encoding", value.ptr);
	return 0;
}

static int read_transfer_encoding(struct http_input *in, struct http_head *head,
				  const struct http_fields *fields)
{
	const struct http_header *te = fields->first[HTTP_H_TRANSFER_ENCODING];
	const struct http_header *length = fields->first[HTTP_H_CONTENT_LENGTH];
	int err;

	if (length)
		return http_refuse(in, 400, "length_and_transfer_encoding",
				   length > te ? length->name.ptr : te->name.ptr);
	if (fields->count[HTTP_H_TRANSFER_ENCODING] > 1)
		return http_refuse(in, 400, "duplicate_transfer_encoding", http_second(head, te));
	if (head->minor == 0) /* RFC 9112 section 6.1: its framing is faulty */
		return http_refuse(in, 400, "transfer_encoding_in_1_0", te->name.ptr);
	err = read_coding(in, te->value);
	if (err == 0)
		head->framing = HTTP_BODY_CHUNKED;
	return err;
}

/* 1*DIGIT and one field only: "2, 2" and "+2" are read differently by different parsers. */
static int read_content_length(struct http_input *in, struct http_head *head,
			       const struct http_fields *fields)
{
	const struct http_header *field = fields->first[HTTP_H_CONTENT_LENGTH];
	const char *end = field->value.ptr + field->value.len;
	const char *stop = byte_run(field->value.ptr, end, BYTE_DIGIT);
	uint64_t length;

	if (fields->count[HTTP_H_CONTENT_LENGTH] > 1)
		return http_refuse(in, 400, "duplicate_content_length", http_second(head, field));
	if (!parse_u64(field->value, &length) || length > INT64_MAX)
		return http_refuse(in, 400, "bad_content_length",
				   stop < end ? stop : field->value.ptr);
	head->content_length = length;
	head->framing = HTTP_BODY_LENGTH;
	return 0;
}

int http_read_meaning(struct http_input *in, struct http_head *head, struct http_fields *fields)
{
	struct options options = {0};
	int err;

	sort_fields(head, fields);
	if (fields->count[HTTP_H_CONNECTION] > 0) {
		err = read_connection(in, head, &options);
		if (err < 0)
			return err;
	}
	head->keep_alive = !options.close && (head->minor == 1 || options.keep_alive);
	head->upgrade = options.upgrade && head->minor == 1 && upgrade_allowed(fields);
	if (fields->count[HTTP_H_TRANSFER_ENCODING] > 0)
		return read_transfer_encoding(in, head, fields);
	if (fields->count[HTTP_H_CONTENT_LENGTH] > 0)
		return read_content_length(in, head, fields);
	return 0;
}
