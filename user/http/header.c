/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Field lines, RFC 9112 section 5, and the fields we know by name. */
#include "http/header.h"

#include <errno.h>

#include "http/token.h"

#define LONGEST_NAME (sizeof("proxy-authorization") - 1)

struct known {
	struct slice name;
	enum http_header_id id;
	bool hop; /* RFC 9110 section 7.6.1 */
};

/* Two names of each length at most, so that one step finds the candidates. */
static const struct known known[LONGEST_NAME + 1][2] = {
	[2] = {{{"te", 2}, HTTP_H_TE, true}},
	[3] = {{{"via", 3}, HTTP_H_VIA, false}},
	[4] = {{{"host", 4}, HTTP_H_HOST, false}, {{"date", 4}, HTTP_H_DATE, false}},
	[6] = {{{"expect", 6}, HTTP_H_EXPECT, false}, {{"cookie", 6}, HTTP_H_COOKIE, false}},
	[7] = {{{"trailer", 7}, HTTP_H_TRAILER, false}, {{"upgrade", 7}, HTTP_H_UPGRADE, true}},
	[9] = {{{"forwarded", 9}, HTTP_H_FORWARDED, false}},
	[10] = {{{"connection", 10}, HTTP_H_CONNECTION, true},
		{{"keep-alive", 10}, HTTP_H_KEEP_ALIVE, true}},
	[11] = {{{"traceparent", 11}, HTTP_H_TRACEPARENT, false}},
	[12] = {{{"x-request-id", 12}, HTTP_H_X_REQUEST_ID, false},
		{{"max-forwards", 12}, HTTP_H_MAX_FORWARDS, false}},
	[14] = {{{"content-length", 14}, HTTP_H_CONTENT_LENGTH, false}},
	[15] = {{{"x-forwarded-for", 15}, HTTP_H_X_FORWARDED_FOR, false}},
	[16] = {{{"proxy-connection", 16}, HTTP_H_PROXY_CONNECTION, true},
		{{"x-forwarded-host", 16}, HTTP_H_X_FORWARDED_HOST, false}},
	[17] = {{{"transfer-encoding", 17}, HTTP_H_TRANSFER_ENCODING, true},
		{{"x-forwarded-proto", 17}, HTTP_H_X_FORWARDED_PROTO, false}},
	[18] = {{{"proxy-authenticate", 18}, HTTP_H_PROXY_AUTHENTICATE, true}},
	[19] = {{{"proxy-authorization", 19}, HTTP_H_PROXY_AUTHORIZATION, true}},
};

enum http_header_id http_header_identify(struct slice name, bool *ret_hop)
{
	*ret_hop = false;
	if (name.len > LONGEST_NAME)
		return HTTP_H_OTHER;
	for (size_t i = 0; i < 2; i++) {
		const struct known *k = &known[name.len][i];

		/* The first letter, in either case, spares most names the comparison. */
		if (k->name.len == 0 || (name.ptr[0] | 0x20) != k->name.ptr[0] ||
		    !slice_caseeq(k->name, name))
			continue;
		*ret_hop = k->hop;
		return k->id;
	}
	return HTTP_H_OTHER;
}

/* The name and its colon, nothing between them (RFC 9112 section 5.1). */
static int read_name(struct http_input *in, struct slice *ret_name)
{
	const char *colon = byte_run(in->at, in->end, BYTE_TOKEN);
	bool space;

	if (colon == in->end)
		return -EAGAIN;
	space = *colon == ' ' || *colon == '\t';
	if (space)
		return http_refuse(in, 400, colon == in->at ? "folded_line" : "space_before_colon",
				   colon);
	if (*colon != ':' || colon == in->at)
		return http_refuse(in, 400, "bad_header_name", colon);
	*ret_name = (struct slice){in->at, (size_t)(colon - in->at)};
	in->at = colon + 1;
	return 0;
}

static int read_value(struct http_input *in, struct slice *ret_value)
{
	const char *stop = value_run(in->at, in->end);
	struct slice value = {in->at, (size_t)(stop - in->at)};

	if (stop == in->end)
		return -EAGAIN;
	in->at = stop;
	*ret_value = slice_trim(value);
	return http_read_crlf(in, "bad_header_value");
}

int http_read_field(struct http_input *in, struct http_header *header)
{
	int err = read_name(in, &header->name);

	if (err == 0)
		err = read_value(in, &header->value);
	if (err == 0)
		header->id = http_header_identify(header->name, &header->hop);
	return err;
}

int http_read_headers(struct http_input *in, struct http_head *head)
{
	int err;

	for (;;) {
		if (in->at == in->end)
			return -EAGAIN;
		if (*in->at == '\r')
			return http_read_crlf(in, "bad_line_end");
		if (head->n_headers == HTTP_MAX_HEADERS)
			return http_refuse(in, 431, "too_many_headers", in->at);
		err = http_read_field(in, &head->headers[head->n_headers]);
		if (err < 0)
			return err;
		head->n_headers++;
	}
}

const struct http_header *http_find(const struct http_head *head, enum http_header_id id)
{
	for (unsigned i = 0; i < head->n_headers; i++) {
		if (head->headers[i].id == id)
			return &head->headers[i];
	}
	return NULL;
}

const char *http_second(const struct http_head *head, const struct http_header *first)
{
	const struct http_header *end = head->headers + head->n_headers;

	for (const struct http_header *header = first + 1; header < end; header++) {
		if (header->id == first->id)
			return header->name.ptr;
	}
	return first->name.ptr;
}
