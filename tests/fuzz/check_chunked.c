/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Chunked bodies with their trailers. */
#include <errno.h>
#include <stdio.h>

#include "../unit/http/guard.h"
#include "check.h"
#include "http/message.h"

#define EVERY_CUT 128 /* so short a text is cut at every byte */
#define SOME_CUTS 6
#define MAX_CUTS  3		  /* of one reading */
#define MAX_TEXT  (2 * CHECK_MAX) /* "a:\r\n" grows by a space */

/* What was read: data as it is, trailers as lines. */
struct text {
	char ptr[MAX_TEXT];
	size_t len;
};

struct reading {
	struct http_chunked chunked;
	struct http_refusal refusal;
	struct text data;
	struct text trailers;
	size_t consumed; /* or where it was refused */
	bool refused;
};

static void add(struct text *text, struct slice more)
{
	if (more.len > 0)
		memcpy(text->ptr + text->len, more.ptr, more.len);
	text->len += more.len;
}

static void add_trailer(struct text *text, const struct http_header *field)
{
	if (field->name.len == 0)
		return;
	add(text, field->name);
	add(text, SLICE(": "));
	add(text, field->value);
	add(text, SLICE("\r\n"));
}

static void begin(struct reading *reading, bool keep)
{
	http_chunked_init(&reading->chunked);
	reading->chunked.keep_trailers = keep;
	reading->data.len = reading->trailers.len = reading->consumed = 0;
	reading->refused = false;
}

static ssize_t read_part(struct reading *reading, struct slice in)
{
	struct http_header field;
	struct slice data;
	ssize_t n;

	if (reading->chunked.keep_trailers && reading->chunked.trailers) {
		n = http_trailer_read(&reading->chunked, in, &field, &reading->refusal);
		if (n > 0)
			add_trailer(&reading->trailers, &field);
		return n;
	}
	n = http_chunked_read(&reading->chunked, in, &data, &reading->refusal);
	if (n > 0)
		add(&reading->data, data);
	return n;
}

/* All of <in> up to <end>, from where the last call came to. */
static void feed(struct reading *reading, struct slice in, size_t end)
{
	if (reading->refused || end <= reading->consumed)
		return;
	in = guard_copy((struct slice){in.ptr + reading->consumed, end - reading->consumed});
	while (in.len > 0 && !reading->chunked.done) {
		ssize_t n = read_part(reading, in);

		reading->refused = n < 0;
		if (n < 0)
			reading->consumed += reading->refusal.offset;
		if (n <= 0)
			return;
		reading->consumed += (size_t)n;
		in = (struct slice){in.ptr + n, in.len - (size_t)n};
	}
}

static bool same_text(const struct text *a, const struct text *b)
{
	return a->len == b->len && memcmp(a->ptr, b->ptr, a->len) == 0;
}

static bool same(const struct reading *a, const struct reading *b, struct check *check)
{
	if (a->refused != b->refused || a->consumed != b->consumed ||
	    a->chunked.done != b->chunked.done)
		return check_fails(check, "%s at %zu, cut: %s at %zu",
				   a->refused ? a->refusal.reason : "read", a->consumed,
				   b->refused ? b->refusal.reason : "read", b->consumed);
	if (a->refused && (strcmp(a->refusal.reason, b->refusal.reason) != 0 ||
			   a->refusal.status != b->refusal.status))
		return check_fails(check, "%s, cut: %s", a->refusal.reason, b->refusal.reason);
	if (!same_text(&a->data, &b->data))
		return check_fails(check, "%zu bytes of data, cut: others", a->data.len);
	if (!same_text(&a->trailers, &b->trailers))
		return check_fails(check, "trailers differ when cut");
	return true;
}

static bool cut_at(struct slice in, size_t cut, const struct reading *whole, struct check *check)
{
	static struct reading cuts;

	begin(&cuts, whole->chunked.keep_trailers);
	feed(&cuts, in, cut);
	feed(&cuts, in, in.len);
	return same(whole, &cuts, check);
}

static bool byte_by_byte(struct slice in, const struct reading *whole, struct check *check)
{
	static struct reading cuts;
	size_t step = 1 + in.len / 512;

	begin(&cuts, whole->chunked.keep_trailers);
	for (size_t end = 1; end < in.len; end += step)
		feed(&cuts, in, end);
	feed(&cuts, in, in.len);
	return same(whole, &cuts, check);
}

static bool every_cut(struct slice in, const struct reading *whole, struct check *check)
{
	bool ok = byte_by_byte(in, whole, check);

	for (size_t cut = 0; cut < in.len && in.len <= EVERY_CUT && ok; cut++)
		ok = cut_at(in, cut, whole, check);
	for (unsigned i = 0; i < SOME_CUTS && in.len > EVERY_CUT && ok; i++)
		ok = cut_at(in, check_cut(in, i, in.len), whole, check);
	return ok;
}

/* As the proxy writes it: one chunk for each run of data, then the trailers. */
static bool survives_writing(const struct reading *reading, struct check *check)
{
	static struct reading again;
	static struct text text;
	char head[HTTP_CHUNK_HEAD];
	struct slice data = {reading->data.ptr, reading->data.len};

	text.len = 0;
	if (data.len > 0) {
		add(&text, (struct slice){head, http_chunk_head(data.len, head)});
		add(&text, data);
		add(&text, SLICE("\r\n"));
	}
	add(&text, SLICE("0\r\n"));
	add(&text, (struct slice){reading->trailers.ptr, reading->trailers.len});
	add(&text, SLICE("\r\n"));
	if (text.len > GUARD_SIZE || reading->trailers.len > HTTP_MAX_TRAILERS)
		return true;
	begin(&again, true);
	feed(&again, (struct slice){text.ptr, text.len}, text.len);
	if (!again.chunked.done || again.consumed != text.len)
		return check_fails(check, "what is written is read to %zu of %zu", again.consumed,
				   text.len);
	if (!same_text(&reading->data, &again.data) ||
	    !same_text(&reading->trailers, &again.trailers))
		return check_fails(check, "what is written is read as something else");
	return true;
}

/* As the body of a request, for the second opinion. */
static bool check_as_message(struct slice in, struct check *check)
{
	static const struct slice head =
		SLICE("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
	static char text[CHECK_MAX];

	if (in.len > sizeof(text) - head.len)
		return true;
	memcpy(text, head.ptr, head.len);
	memcpy(text + head.len, in.ptr, in.len);
	return check_request((struct slice){text, head.len + in.len}, check);
}

bool check_chunked(struct slice in, struct check *check)
{
	static struct reading kept, dropped;

	if (in.len > CHECK_MAX)
		return true;
	begin(&kept, true);
	feed(&kept, in, in.len);
	begin(&dropped, false);
	feed(&dropped, in, in.len);
	if (kept.refused &&
	    (kept.consumed >= in.len || (kept.refusal.status != 400 && kept.refusal.status != 431)))
		return check_fails(check, "refused with %u at %zu", kept.refusal.status,
				   kept.consumed);
	kept.chunked.keep_trailers = false; /* the one thing that may differ */
	dropped.trailers = kept.trailers;
	if (!same(&kept, &dropped, check))
		return false;
	kept.chunked.keep_trailers = true;
	if (!every_cut(in, &kept, check) || !check_as_message(in, check))
		return false;
	return !kept.chunked.done || survives_writing(&kept, check);
}
