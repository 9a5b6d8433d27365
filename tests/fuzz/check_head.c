/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Heads of requests and responses. */
#include <errno.h>

#include "../unit/http/guard.h"
#include "check.h"
#include "http/message.h"
#include "oracle.h"

#define EVERY_CUT 256 /* so short a text is cut at every byte */
#define SOME_CUTS 6

/* What a parser said. Static, as heads are large. */
struct reading {
	ssize_t n;
	struct http_refusal refusal;
	struct http_head head;
};

struct reader {
	bool response;
	enum http_method method; /* of the request that a response is for */
};

static void read_head(const struct reader *reader, struct slice in, struct reading *reading)
{
	reading->refusal = (struct http_refusal){0};
	in = guard_copy(in);
	reading->n = reader->response ? http_parse_response(in, reader->method, &reading->head,
							    &reading->refusal)
				      : http_parse_request(in, &reading->head, &reading->refusal);
}

/* The answer to a beginning is the whole's or "more". */
static bool cut_at(const struct reader *reader, struct slice in, size_t cut,
		   const struct reading *whole, struct check *check)
{
	static struct reading part;

	read_head(reader, (struct slice){in.ptr, cut}, &part);
	if (whole->n > 0 && part.n != ((size_t)whole->n <= cut ? whole->n : 0))
		return check_fails(check, "the first %zu bytes: %zd, all: %zd", cut, part.n,
				   whole->n);
	if (whole->n == 0 && part.n != 0)
		return check_fails(check, "the first %zu bytes: %zd, all: more", cut, part.n);
	if (whole->n >= 0 || part.n == 0)
		return true;
	if (part.n != whole->n || strcmp(part.refusal.reason, whole->refusal.reason) != 0 ||
	    part.refusal.offset != whole->refusal.offset ||
	    part.refusal.status != whole->refusal.status)
		return check_fails(check, "the first %zu bytes: %zd %s at %zu, all: %s at %zu", cut,
				   part.n, part.n < 0 ? part.refusal.reason : "",
				   part.refusal.offset, whole->refusal.reason,
				   whole->refusal.offset);
	return true;
}

static bool every_cut(const struct reader *reader, struct slice in, const struct reading *whole,
		      struct check *check)
{
	bool same = true;

	for (size_t cut = 0; cut < in.len && in.len <= EVERY_CUT && same; cut++)
		same = cut_at(reader, in, cut, whole, check);
	for (unsigned i = 0; i < SOME_CUTS && in.len > EVERY_CUT && same; i++)
		same = cut_at(reader, in, check_cut(in, i, in.len), whole, check);
	return same;
}

static bool refusal_valid(const struct reader *reader, struct slice in, const struct reading *r,
			  struct check *check)
{
	if (r->n != -EBADMSG)
		return check_fails(check, "an error that is none: %zd", r->n);
	if (r->refusal.offset > in.len)
		return check_fails(check, "refused at %zu of %zu", r->refusal.offset, in.len);
	if (reader->response ? r->refusal.status != 502
			     : r->refusal.status < 400 || r->refusal.status > 505)
		return check_fails(check, "refused with %u", r->refusal.status);
	return true;
}

/* ---- Written and read again ------------------------------------------------------------------ */

static void put_framing(struct http_writer *w, const struct http_head *head)
{
	if (head->framing == HTTP_BODY_CHUNKED)
		http_put_header(w, SLICE("Transfer-Encoding"), SLICE("chunked"));
	if (head->framing != HTTP_BODY_LENGTH)
		return;
	http_put(w, SLICE("Content-Length: "));
	http_put_number(w, head->content_length);
	http_put(w, SLICE("\r\n"));
}

static struct slice write_head(const struct reader *reader, const struct http_head *head, char *out)
{
	struct http_writer w = {.ptr = out, .size = 2 * HTTP_MAX_HEAD};

	if (reader->response)
		http_put_status_line(&w, head->status, head->reason);
	else
		http_put_request_line(&w, head);
	http_put_end_to_end(&w, head);
	/* An HTTP/1.0 request without one becomes an HTTP/1.1 request. */
	if (!reader->response && !http_find(head, HTTP_H_HOST))
		http_put_header(&w, SLICE("Host"),
				head->authority.len > 0 ? head->authority : SLICE("none"));
	put_framing(&w, head);
	http_put(&w, SLICE("\r\n"));
	return (struct slice){w.ptr, w.len};
}

static bool is_end_to_end(const struct http_header *header)
{
	return !header->hop && header->id != HTTP_H_CONTENT_LENGTH && header->id != HTTP_H_EXPECT;
}

static const struct http_header *next_end_to_end(const struct http_head *head, unsigned *at)
{
	while (*at < head->n_headers && !is_end_to_end(&head->headers[*at]))
		(*at)++;
	return *at < head->n_headers ? &head->headers[(*at)++] : NULL;
}

static bool same_headers(const struct http_head *a, const struct http_head *b, struct check *check)
{
	unsigned i = 0, j = 0;
	const struct http_header *x, *y;

	while ((x = next_end_to_end(a, &i)) != NULL) {
		y = next_end_to_end(b, &j);
		if (!y || !slice_eq(x->name, y->name) || !slice_eq(x->value, y->value))
			return check_fails(check, "the field '%.60s' is not the same when written",
					   x->name.ptr);
	}
	y = next_end_to_end(b, &j);
	if (y && (y->id != HTTP_H_HOST || http_find(a, HTTP_H_HOST)))
		return check_fails(check, "a field more when written: '%.60s'", y->name.ptr);
	return true;
}

/* What is written has the '/' that an empty path stands for. */
static bool same_target(struct slice read, struct slice written)
{
	if (read.len > 0 && read.ptr[0] == '?' && written.len > 0 && written.ptr[0] == '/')
		written = (struct slice){written.ptr + 1, written.len - 1};
	return slice_eq(read, written);
}

static bool same_head(const struct http_head *a, const struct http_head *b, struct check *check)
{
	if (!slice_eq(a->method_text, b->method_text) || !same_target(a->target, b->target) ||
	    (a->authority.len > 0 && !slice_eq(a->authority, b->authority)))
		return check_fails(check, "another request line when written");
	if (a->status != b->status || !slice_eq(a->reason, b->reason))
		return check_fails(check, "another status line when written");
	if (a->framing != b->framing ||
	    (a->framing == HTTP_BODY_LENGTH && a->content_length != b->content_length))
		return check_fails(check, "another framing when written");
	if (a->counts_hops && !http_find(a, HTTP_H_MAX_FORWARDS)->hop &&
	    (!b->counts_hops || a->max_forwards != b->max_forwards))
		return check_fails(check, "another Max-Forwards when written");
	return same_headers(a, b, check);
}

static bool survives_writing(const struct reader *reader, const struct http_head *head,
			     struct check *check)
{
	static char first[2 * HTTP_MAX_HEAD], second[2 * HTTP_MAX_HEAD];
	static struct reading again;
	struct slice text = write_head(reader, head, first), text_again;

	/* "X:y" grows by a space: the limit is not ours to check here. */
	if (text.len >= HTTP_MAX_HEAD || head->n_headers == HTTP_MAX_HEADERS)
		return true;
	read_head(reader, text, &again);
	if (again.n != (ssize_t)text.len)
		return check_fails(check, "what is written is %zd of %zu: %s", again.n, text.len,
				   again.n < 0 ? again.refusal.reason : "");
	if (!same_head(head, &again.head, check))
		return false;
	text_again = write_head(reader, &again.head, second);
	if (!slice_eq(text, text_again))
		return check_fails(check, "written twice it is different");
	return true;
}

/* Of a head that was understood; it points into <in> itself, as the guarded copy is used again. */
static bool check_meaning(const struct reader *reader, struct slice in, struct check *check)
{
	static struct http_head head;
	struct oracle_message message = {
		.text = in, .response = reader->response, .method = reader->method, .head = &head};
	struct http_refusal refusal;
	ssize_t n = reader->response ? http_parse_response(in, reader->method, &head, &refusal)
				     : http_parse_request(in, &head, &refusal);

	if (n <= 0)
		return true;
	message.head_len = (size_t)n;
	return survives_writing(reader, &head, check) && oracle_agrees(&message, check);
}

static bool check_head(const struct reader *reader, struct slice in, struct check *check)
{
	static struct reading whole;

	if (in.len > CHECK_MAX)
		return true;
	read_head(reader, in, &whole);
	if (whole.n < 0 && !refusal_valid(reader, in, &whole, check))
		return false;
	if (whole.n > (ssize_t)in.len)
		return check_fails(check, "%zd of %zu bytes", whole.n, in.len);
	return every_cut(reader, in, &whole, check) && check_meaning(reader, in, check);
}

bool check_request(struct slice in, struct check *check)
{
	static const struct reader reader = {.response = false};

	return check_head(&reader, in, check);
}

bool check_response(struct slice in, struct check *check)
{
	static const struct reader readers[] = {
		{.response = true, .method = HTTP_GET},
		{.response = true, .method = HTTP_HEAD},
	};

	for (size_t i = 0; i < 2; i++) {
		if (!check_head(&readers[i], in, check))
			return false;
	}
	return true;
}
