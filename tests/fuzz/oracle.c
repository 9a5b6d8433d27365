/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "oracle.h"

#include "opinion.h"

static struct slice trim(struct slice text)
{
	while (text.len > 0 && (text.ptr[0] == ' ' || text.ptr[0] == '\t'))
		text = (struct slice){text.ptr + 1, text.len - 1};
	while (text.len > 0 && (text.ptr[text.len - 1] == ' ' || text.ptr[text.len - 1] == '\t'))
		text.len--;
	return text;
}

/* ---- The head ------------------------------------------------------------------------------ */

static bool same_line(const struct oracle_message *message, const struct opinion *opinion,
		      struct check *check)
{
	const struct http_head *head = message->head;
	const char *target = head->method_text.ptr + head->method_text.len + 1;

	if (opinion->minor != head->minor)
		return check_fails(check, "llhttp: version 1.%u", opinion->minor);
	if (message->response)
		return opinion->status == head->status ||
		       check_fails(check, "llhttp: status %u", opinion->status);
	if (!slice_eq(head->method_text, slice_of(opinion->method)))
		return check_fails(check, "llhttp: method %s", opinion->method);
	/* Ours has lost its scheme and host when it came in absolute-form. */
	if (opinion->url.ptr != target || target[opinion->url.len] != ' ')
		return check_fails(check, "llhttp: target '%.*s'", SLICE_ARG(opinion->url));
	return true;
}

static bool same_fields(const struct oracle_message *message, const struct opinion *opinion,
			struct check *check)
{
	const struct http_head *head = message->head;

	if (opinion->n_head_fields != head->n_headers)
		return check_fails(check, "llhttp: %zu fields, we: %u", opinion->n_head_fields,
				   head->n_headers);
	for (unsigned i = 0; i < head->n_headers; i++) {
		const struct http_header *ours = &head->headers[i];
		const struct opinion_field *theirs = &opinion->fields[i];

		if (!slice_eq(ours->name, theirs->name))
			return check_fails(check, "llhttp: name '%.*s'", SLICE_ARG(theirs->name));
		/* Host is replaced by the authority of absolute-form. */
		if (ours->id != HTTP_H_HOST && !slice_eq(ours->value, trim(theirs->value)))
			return check_fails(check, "llhttp: value '%.*s' of '%.*s'",
					   SLICE_ARG(theirs->value), SLICE_ARG(theirs->name));
	}
	return true;
}

static bool same_framing(const struct oracle_message *message, const struct opinion *opinion,
			 struct check *check)
{
	const struct http_head *head = message->head;
	bool chunked = opinion->chunked, length = opinion->has_length;

	/* It frames what can have no body by its fields (RFC 9112 section 6.3 says otherwise). */
	if (message->response && head->framing == HTTP_BODY_NONE)
		return true;
	if (chunked != (head->framing == HTTP_BODY_CHUNKED))
		return check_fails(check, "llhttp: %schunked", chunked ? "" : "not ");
	if (length != (head->framing == HTTP_BODY_LENGTH))
		return check_fails(check, "llhttp: %s length", length ? "a" : "no");
	if (length && opinion->length != head->content_length)
		return check_fails(check, "llhttp: a length of %llu",
				   (unsigned long long)opinion->length);
	return true;
}

static bool same_keep_alive(const struct oracle_message *message, const struct opinion *opinion,
			    struct check *check)
{
	const struct http_head *head = message->head;

	/* It lets keep-alive win over close in HTTP/1.0 (RFC 9112 section 9.3 says otherwise). */
	if (head->minor == 0 && opinion->close)
		return true;
	/* We keep nothing open behind a response whose framing contradicts its status. */
	if (message->response && head->framing == HTTP_BODY_NONE && !head->keep_alive)
		return true;
	return opinion->keep_alive == head->keep_alive ||
	       check_fails(check, "llhttp: %s", opinion->keep_alive ? "keep-alive" : "close");
}

/* ---- The body ------------------------------------------------------------------------------ */

struct body {
	char data[CHECK_MAX];
	size_t len;
	size_t used;
	struct http_header trailers[HTTP_MAX_TRAILER_FIELDS];
	size_t n_trailers;
	bool done;
	bool refused;
};

/* One step; false when there is nothing more to read. */
static bool read_part(struct body *body, struct http_chunked *chunked, struct slice in)
{
	struct http_refusal refusal;
	struct http_header field = {0};
	struct slice data = {0};
	ssize_t n = chunked->trailers ? http_trailer_read(chunked, in, &field, &refusal)
				      : http_chunked_read(chunked, in, &data, &refusal);

	body->refused = n < 0;
	if (n <= 0)
		return false;
	body->used += (size_t)n;
	if (data.len > 0)
		memcpy(body->data + body->len, data.ptr, data.len);
	body->len += data.len;
	if (field.name.len > 0)
		body->trailers[body->n_trailers++] = field;
	return true;
}

static void read_chunked(struct body *body, struct slice in)
{
	struct http_chunked chunked;

	http_chunked_init(&chunked);
	chunked.keep_trailers = true;
	while (!chunked.done &&
	       read_part(body, &chunked, (struct slice){in.ptr + body->used, in.len - body->used}))
		continue;
	body->done = chunked.done;
}

static bool same_trailers(const struct body *body, const struct opinion *opinion)
{
	const struct opinion_field *theirs = opinion->fields + opinion->n_head_fields;

	if (opinion->n_head_fields + body->n_trailers != opinion->n_fields)
		return false;
	for (size_t i = 0; i < body->n_trailers; i++) {
		if (!slice_eq(body->trailers[i].name, theirs[i].name) ||
		    !slice_eq(body->trailers[i].value, trim(theirs[i].value)))
			return false;
	}
	return true;
}

static void read_length(struct body *body, struct slice in, uint64_t length)
{
	body->len = in.len < length ? in.len : (size_t)length;
	body->used = body->len;
	body->done = body->len == length;
	memcpy(body->data, in.ptr, body->len);
}

/* Where both come to the end of the message: the same end, the same bytes. */
static bool same_body(const struct oracle_message *message, const struct opinion *opinion,
		      struct check *check)
{
	static struct body body;
	const struct http_head *head = message->head;
	struct slice in = {message->text.ptr + message->head_len,
			   message->text.len - message->head_len};

	body.len = body.used = body.n_trailers = 0;
	body.refused = false;
	body.done = head->framing == HTTP_BODY_NONE;
	if (head->framing == HTTP_BODY_UNTIL_CLOSE ||
	    (message->response && head->framing == HTTP_BODY_NONE))
		return true;
	if (head->framing == HTTP_BODY_CHUNKED)
		read_chunked(&body, in);
	else if (head->framing == HTTP_BODY_LENGTH)
		read_length(&body, in, head->content_length);
	if (body.done && !opinion->done && !opinion->refused)
		return check_fails(check, "llhttp: waits behind the end of the body");
	if (opinion->done && !body.done && !body.refused)
		return check_fails(check, "llhttp: sees the end of the body, we wait");
	if (!body.done || !opinion->done)
		return true;
	if (message->head_len + body.used != opinion->end)
		return check_fails(check, "llhttp: ends at %zu, we at %zu", opinion->end,
				   message->head_len + body.used);
	if (body.len != opinion->body_len || memcmp(body.data, opinion->body, body.len) != 0)
		return check_fails(check, "llhttp: another body of %zu, ours of %zu",
				   opinion->body_len, body.len);
	if (!same_trailers(&body, opinion))
		return check_fails(check, "llhttp: other trailers");
	return true;
}

/*
 * White space is SP and HTAB (RFC 9110 section 5.6.3), but llhttp does not take a coding with an
 * HTAB beside it for chunked: it refuses such a request and reads such a response until close.
 */
static bool has_tab_at_coding(const struct http_head *head)
{
	const struct http_header *te = http_find(head, HTTP_H_TRANSFER_ENCODING);
	const char *at = te ? te->name.ptr + te->name.len : NULL;

	while (te && *at != '\r' && *at != '\t')
		at++;
	return te && *at == '\t';
}

bool oracle_agrees(const struct oracle_message *message, struct check *check)
{
	static struct opinion opinion;

	opinion_ask(&opinion, message->text, message->response,
		    message->response && message->method == HTTP_HEAD);
	if (!opinion.head_done)
		return opinion.refused ||
		       check_fails(check, "llhttp: waits behind the end of the head");
	if (has_tab_at_coding(message->head))
		return true;
	if (opinion.torn)
		return check_fails(check, "llhttp: a text in parts");
	return same_line(message, &opinion, check) && same_fields(message, &opinion, check) &&
	       same_framing(message, &opinion, check) &&
	       same_keep_alive(message, &opinion, check) && same_body(message, &opinion, check);
}
