/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "proxy/error_reply.h"

#include <assert.h>

/* RFC 9110 section 15.5.6: 405 names the methods there are. */
static const struct slice allowed = {"GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH", 44};

static void put_number_header(struct http_writer *w, struct slice name, uint64_t number)
{
	http_put(w, name);
	http_put(w, SLICE(": "));
	http_put_number(w, number);
	http_put(w, SLICE("\r\n"));
}

void error_reply_write(const struct error_reply *reply, struct wire *out)
{
	struct slice text = slice_of(http_status_text(reply->status));
	struct http_writer w = {.ptr = out->data + out->len, .size = WIRE_ROOM - out->len};

	http_put_status_line(&w, reply->status, text);
	http_put_header(&w, SLICE("Date"), reply->date);
	http_put_header(&w, SLICE("Content-Type"), SLICE("text/plain"));
	put_number_header(&w, SLICE("Content-Length"), text.len + 1);
	if (reply->status == 503 || reply->status == 429)
		put_number_header(&w, SLICE("Retry-After"), ERROR_RETRY_AFTER);
	if (reply->status == 405)
		http_put_header(&w, SLICE("Allow"), allowed);
	if (reply->close)
		http_put_header(&w, SLICE("Connection"), SLICE("close"));
	http_put(&w, SLICE("\r\n"));
	if (!reply->head_only) {
		http_put(&w, text);
		http_put(&w, SLICE("\n"));
	}
	assert(!w.overflow && w.len <= ERROR_REPLY_MAX);
	out->len += (uint32_t)w.len;
}

void options_reply_write(bool close, struct slice date, struct wire *out)
{
	struct http_writer w = {.ptr = out->data + out->len, .size = WIRE_ROOM - out->len};

	http_put_status_line(&w, 200, slice_of(http_status_text(200)));
	http_put_header(&w, SLICE("Date"), date);
	http_put_header(&w, SLICE("Allow"), allowed);
	put_number_header(&w, SLICE("Content-Length"), 0);
	if (close)
		http_put_header(&w, SLICE("Connection"), SLICE("close"));
	http_put(&w, SLICE("\r\n"));
	assert(!w.overflow && w.len <= ERROR_REPLY_MAX);
	out->len += (uint32_t)w.len;
}
