/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "proxy/body.h"

#include <assert.h>
#include <errno.h>

static const struct slice last_chunk = {"0\r\n\r\n", 5};

void body_reader_init(struct body_reader *reader, enum http_framing framing, uint64_t length)
{
	reader->framing = framing;
	reader->left = length;
	reader->done = framing == HTTP_BODY_NONE || (framing == HTTP_BODY_LENGTH && length == 0);
	if (framing == HTTP_BODY_CHUNKED)
		http_chunked_init(&reader->chunked);
}

static ssize_t read_chunked(struct body_reader *reader, struct slice in, struct slice *ret_data,
			    const char **ret_why)
{
	struct http_refusal refusal;
	ssize_t n = http_chunked_read(&reader->chunked, in, ret_data, &refusal);

	if (n < 0)
		*ret_why = refusal.reason;
	reader->done = reader->chunked.done;
	return n;
}

ssize_t body_read(struct body_reader *reader, struct slice in, size_t max, struct slice *ret_data,
		  const char **ret_why)
{
	if (reader->done)
		return 0;
	if (in.len > max)
		in.len = max;
	if (reader->framing == HTTP_BODY_CHUNKED)
		return read_chunked(reader, in, ret_data, ret_why);
	if (reader->framing == HTTP_BODY_LENGTH) {
		if (in.len > reader->left)
			in.len = reader->left;
		reader->left -= in.len;
		reader->done = reader->left == 0;
	}
	*ret_data = in;
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
	writer->done = framing == HTTP_BODY_NONE;
}

size_t body_room(const struct body_writer *writer, const struct wire *out)
{
	size_t room = WIRE_ROOM - (out ? out->len : 0);
	size_t frame = HTTP_CHUNK_HEAD + 2 + last_chunk.len;

	if (writer->framing != HTTP_BODY_CHUNKED)
		return room;
	return room > frame ? room - frame : 0;
}

static void append(struct wire *out, struct slice text)
{
	assert(out->len + text.len <= WIRE_ROOM);
	memcpy(out->data + out->len, text.ptr, text.len);
	out->len += (uint32_t)text.len;
}

void body_write(struct body_writer *writer, struct wire *out, struct slice data)
{
	char head[HTTP_CHUNK_HEAD];

	if (data.len == 0)
		return;
	if (writer->framing != HTTP_BODY_CHUNKED) {
		append(out, data);
		return;
	}
	append(out, (struct slice){head, http_chunk_head(data.len, head)});
	append(out, data);
	append(out, SLICE("\r\n"));
}

void body_write_end(struct body_writer *writer, struct wire *out)
{
	if (!writer->done && writer->framing == HTTP_BODY_CHUNKED)
		append(out, last_chunk);
	writer->done = true;
}
