/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "proxy/body.h"

#include <assert.h>
#include <errno.h>

#define LAST_CHUNK "0\r\n"
#define END_CHUNK  "\r\n"

/* What may be written around the data of one step, and a trailer's ": " for its ":". */
#define FRAME (HTTP_CHUNK_HEAD + sizeof(END_CHUNK) - 1 + sizeof(LAST_CHUNK END_CHUNK) - 1 + 1)

/* The longest line that http_trailer_read() takes. */
#define LONGEST_TRAILER (HTTP_MAX_TRAILERS + 2)
static_assert(LONGEST_TRAILER + FRAME <= WIRE_ROOM, "a trailer fits into an empty wire");

void body_reader_init(struct body_reader *reader, enum http_framing framing, uint64_t length)
{
	reader->framing = framing;
	reader->left = length;
	reader->drop_trailers = false;
	reader->done = framing == HTTP_BODY_NONE || (framing == HTTP_BODY_LENGTH && length == 0);
	if (framing != HTTP_BODY_CHUNKED)
		return;
	http_chunked_init(&reader->chunked);
	reader->chunked.keep_trailers = true;
}

void body_reader_begin(struct body_reader *reader, const struct http_head *head)
{
	body_reader_init(reader, head->framing, head->content_length);
	reader->drop_trailers = head->drop_trailers;
}

static bool in_trailers(const struct body_reader *reader)
{
	return reader->framing == HTTP_BODY_CHUNKED && reader->chunked.trailers;
}

static ssize_t read_chunked(struct body_reader *reader, struct slice in, struct body_part *part,
			    struct http_refusal *refusal)
{
	ssize_t n;

	if (!in_trailers(reader))
		return http_chunked_read(&reader->chunked, in, &part->data, refusal);
	n = http_trailer_read(&reader->chunked, in, &part->trailer, refusal);
	if (n <= 0 || part->trailer.hop || reader->drop_trailers)
		part->trailer.name.len = 0;
	reader->done = reader->chunked.done;
	return n;
}

ssize_t body_read(struct body_reader *reader, struct slice in, size_t max,
		  struct body_part *ret_part, struct http_refusal *ret_refusal)
{
	*ret_part = (struct body_part){.data = SLICE("")};
	if (reader->done)
		return 0;
	if (in.len > max)
		in.len = max;
	if (reader->framing == HTTP_BODY_CHUNKED)
		return read_chunked(reader, in, ret_part, ret_refusal);
	if (reader->framing == HTTP_BODY_LENGTH) {
		if (in.len > reader->left)
			in.len = reader->left;
		reader->left -= in.len;
		reader->done = reader->left == 0;
	}
	ret_part->data = in;
	return (ssize_t)in.len;
}

bool body_read_end(struct body_reader *reader)
{
	if (reader->framing == HTTP_BODY_UNTIL_CLOSE)
		reader->done = true;
	return reader->done;
}

void body_writer_init(struct body_writer *writer, enum http_framing framing)
{
	writer->framing = framing;
	writer->trailers = false;
	writer->done = framing == HTTP_BODY_NONE;
}

size_t body_room(const struct body_writer *writer, const struct wire *out)
{
	size_t room = WIRE_ROOM - (out ? out->len : 0);

	if (writer->framing != HTTP_BODY_CHUNKED)
		return room;
	return room > FRAME ? room - FRAME : 0;
}

bool body_cramped(const struct body_reader *reader, const struct wire *in, size_t room)
{
	uint32_t len = wire_left(in);

	if (room == 0)
		return len > 0;
	return in_trailers(reader) && room < len && room < LONGEST_TRAILER;
}

static void append(struct wire *out, struct slice text)
{
	assert(out->len + text.len <= WIRE_ROOM);
	memcpy(out->data + out->len, text.ptr, text.len);
	out->len += (uint32_t)text.len;
}

static void write_trailer(struct body_writer *writer, struct wire *out,
			  const struct http_header *trailer)
{
	if (!writer->trailers)
		append(out, SLICE(LAST_CHUNK));
	writer->trailers = true;
	append(out, trailer->name);
	append(out, SLICE(": "));
	append(out, trailer->value);
	append(out, SLICE("\r\n"));
}

void body_write(struct body_writer *writer, struct wire *out, const struct body_part *part)
{
	char head[HTTP_CHUNK_HEAD];

	if (writer->framing != HTTP_BODY_CHUNKED) {
		append(out, part->data);
		return;
	}
	if (part->trailer.name.len > 0)
		write_trailer(writer, out, &part->trailer);
	if (part->data.len == 0)
		return;
	append(out, (struct slice){head, http_chunk_head(part->data.len, head)});
	append(out, part->data);
	append(out, SLICE(END_CHUNK));
}

void body_write_end(struct body_writer *writer, struct wire *out)
{
	if (!writer->done && writer->framing == HTTP_BODY_CHUNKED)
		append(out, writer->trailers ? SLICE("\r\n") : SLICE(LAST_CHUNK "\r\n"));
	writer->done = true;
}
