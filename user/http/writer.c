/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "http/message.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

void http_put_number(struct http_writer *w, uint64_t number)
{
	char text[20]; /* UINT64_MAX has 20 digits */
	size_t at = sizeof(text);

	do {
		text[--at] = (char)('0' + number % 10);
		number /= 10;
	} while (number > 0);
	http_put(w, (struct slice){text + at, sizeof(text) - at});
}

void http_put_header(struct http_writer *w, struct slice name, struct slice value)
{
	http_put(w, name);
	http_put(w, SLICE(": "));
	http_put(w, value);
	http_put(w, SLICE("\r\n"));
}

void http_put_request_line(struct http_writer *w, const struct http_head *head)
{
	http_put(w, head->method_text);
	http_put(w, SLICE(" "));
	if (head->target.len > 0 && head->target.ptr[0] == '?') /* RFC 9110 section 4.2.3 */
		http_put(w, SLICE("/"));
	http_put(w, head->target);
	http_put(w, SLICE(" HTTP/1.1\r\n"));
}

void http_put_status_line(struct http_writer *w, unsigned status, struct slice reason)
{
	http_put(w, SLICE("HTTP/1.1 "));
	http_put_number(w, status);
	http_put(w, SLICE(" "));
	http_put(w, reason);
	http_put(w, SLICE("\r\n"));
}

static bool ends_here(const struct http_header *header)
{
	return header->hop || header->id == HTTP_H_CONTENT_LENGTH ||
	       header->id == HTTP_H_TRANSFER_ENCODING || header->id == HTTP_H_EXPECT;
}

/* As we would write it: the name, ": ", the value and the line's end, in one piece. */
static bool is_canonical(const struct http_header *header)
{
	return header->value.len > 0 &&
	       header->value.ptr == header->name.ptr + header->name.len + 2 &&
	       header->value.ptr[-1] == ' ' && header->value.ptr[header->value.len] == '\r';
}

static const char *end_of(const struct http_header *header)
{
	return header->value.ptr + header->value.len + 2;
}

/* How many headers from <i> on are one piece of text that can be passed on as it is. */
static unsigned canonical_run(const struct http_head *head, unsigned i)
{
	unsigned n = 0;

	for (; i + n < head->n_headers; n++) {
		const struct http_header *header = &head->headers[i + n];

		if (ends_here(header) || !is_canonical(header) ||
		    (n > 0 && header->name.ptr != end_of(header - 1)))
			break;
	}
	return n;
}

void http_put_end_to_end(struct http_writer *w, const struct http_head *head)
{
	for (unsigned i = 0; i < head->n_headers;) {
		const struct http_header *header = &head->headers[i];
		unsigned n = canonical_run(head, i);

		if (n > 0) {
			const char *end = end_of(&head->headers[i + n - 1]);

			http_put(w, (struct slice){header->name.ptr,
						   (size_t)(end - header->name.ptr)});
		} else if (!ends_here(header)) {
			http_put_header(w, header->name, header->value);
		}
		i += n > 0 ? n : 1;
	}
}

size_t http_chunk_head(uint64_t len, char out[static HTTP_CHUNK_HEAD])
{
	char digits[16];
	size_t n = 0, size = 0;

	do {
		digits[n++] = "0123456789abcdef"[len & 15];
		len >>= 4;
	} while (len > 0);
	while (n > 0)
		out[size++] = digits[--n];
	out[size++] = '\r';
	out[size++] = '\n';
	return size;
}

const char *http_status_text(unsigned status)
{
	static const struct {
		unsigned status;
		const char *text;
	} texts[] = {
		{100, "Continue"},
		{101, "Switching Protocols"},
		{200, "OK"},
		{201, "Created"},
		{202, "Accepted"},
		{204, "No Content"},
		{301, "Moved Permanently"},
		{302, "Found"},
		{307, "Temporary Redirect"},
		{308, "Permanent Redirect"},
		{400, "Bad Request"},
		{403, "Forbidden"},
		{404, "Not Found"},
		{405, "Method Not Allowed"},
		{408, "Request Timeout"},
		{409, "Conflict"},
		{413, "Content Too Large"},
		{414, "URI Too Long"},
		{415, "Unsupported Media Type"},
		{417, "Expectation Failed"},
		{421, "Misdirected Request"},
		{422, "Unprocessable Content"},
		{429, "Too Many Requests"},
		{431, "Request Header Fields Too Large"},
		{500, "Internal Server Error"},
		{501, "Not Implemented"},
		{502, "Bad Gateway"},
		{503, "Service Unavailable"},
		{504, "Gateway Timeout"},
		{505, "HTTP Version Not Supported"},
		{507, "Insufficient Storage"},
	};

	for (size_t i = 0; i < COUNT(texts); i++) {
		if (texts[i].status == status)
			return texts[i].text;
	}
	return "Unknown";
}
