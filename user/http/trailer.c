/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The trailer section of a chunked body, RFC 9112 section 7.1.2: one field line at a time. */
#include <errno.h>

#include "http/header.h"

/*
 * RFC 9110 section 6.5.1: no trailer may frame, route, authenticate, modify a request, control a
 * response or say how to process content. A server that merges trailers into the header section
 * would believe these, and we and everybody before it have decided without them.
 */
static const struct slice forbidden[] = {
	/* framing, routing and the hop */
	{"alt-svc", 7},
	{"connection", 10},
	{"forwarded", 9},
	{"host", 4},
	{"keep-alive", 10},
	{"te", 2},
	{"trailer", 7},
	{"transfer-encoding", 17},
	{"upgrade", 7},
	{"via", 3},
	/* who asks, and what a server lets them */
	{"authorization", 13},
	{"cookie", 6},
	{"cookie2", 7},
	{"http2-settings", 14},
	{"origin", 6},
	{"referer", 7},
	{"set-cookie", 10},
	{"set-cookie2", 11},
	{"strict-transport-security", 25},
	{"true-client-ip", 14},
	{"www-authenticate", 16},
	/* what is asked */
	{"expect", 6},
	{"max-forwards", 12},
	{"pragma", 6},
	{"prefer", 6},
	{"range", 5},
	{"x-http-method", 13},
	{"x-http-method-override", 22},
	{"x-method-override", 17},
	{"x-original-url", 14},
	{"x-real-ip", 9},
	{"x-rewrite-url", 13},
	/* what to do with the answer */
	{"accept-ranges", 13},
	{"age", 3},
	{"cache-control", 13},
	{"cdn-cache-control", 17},
	{"clear-site-data", 15},
	{"date", 4},
	{"expires", 7},
	{"location", 8},
	{"retry-after", 11},
	{"surrogate-control", 17},
	{"vary", 4},
	{"warning", 7},
};

/* Whole families: conditions, negotiation and credentials of proxies, what this hop adds. */
static const struct slice forbidden_prefixes[] = {
	{"access-control-", 15}, {"content-", 8}, {"if-", 3},
	{"proxy-", 6},		 {"sec-", 4},	  {"x-forwarded-", 12},
};

/* Of those, what is known only when the content has ended (RFC 9530). */
static const struct slice excepted[] = {
	{"content-digest", 14},
	{"content-md5", 11},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static bool is_among(struct slice name, const struct slice *names, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (slice_caseeq(name, names[i]))
			return true;
	}
	return false;
}

static bool has_forbidden_prefix(struct slice name)
{
	for (size_t i = 0; i < COUNT(forbidden_prefixes); i++) {
		struct slice prefix = forbidden_prefixes[i];

		if (name.len >= prefix.len && strncasecmp(name.ptr, prefix.ptr, prefix.len) == 0)
			return true;
	}
	return false;
}

bool http_trailer_allowed(struct slice name)
{
	if (is_among(name, forbidden, COUNT(forbidden)))
		return false;
	return !has_forbidden_prefix(name) || is_among(name, excepted, COUNT(excepted));
}

static int read_line(struct http_input *in, struct http_chunked *chunked, struct http_header *field)
{
	int err;

	if (in->at == in->end)
		return -EAGAIN;
	field->name = (struct slice){in->at, 0};
	if (*in->at == '\r')
		return http_read_crlf(in, "bad_trailer");
	if (chunked->n_trailers == HTTP_MAX_TRAILER_FIELDS)
		return http_refuse(in, 431, "too_many_trailers", in->at);
	err = http_read_field(in, field);
	if (err == -EBADMSG)
		in->refusal->reason = "bad_trailer";
	return err;
}

/* The final CRLF counts for nothing, so that a section of the allowed size can end. */
static void took_line(struct http_chunked *chunked, const struct http_header *field, size_t len)
{
	if (field->name.len == 0) {
		chunked->done = true;
		chunked->trailers = false;
		return;
	}
	chunked->n_trailers++;
	chunked->trailer_bytes += (uint16_t)len;
}

ssize_t http_trailer_read(struct http_chunked *chunked, struct slice in,
			  struct http_header *ret_field, struct http_refusal *ret_refusal)
{
	size_t allowed = HTTP_MAX_TRAILERS - chunked->trailer_bytes;
	struct http_input input = {.start = in.ptr, .at = in.ptr, .refusal = ret_refusal};
	struct http_header field = {0};
	int err;

	if (in.len == 0)
		return 0;
	/* Two bytes more for the final CRLF. */
	input.end = in.len < allowed + 2 ? in.ptr + in.len : in.ptr + allowed + 2;
	err = read_line(&input, chunked, &field);
	if (err == 0 && field.name.len > 0 && (size_t)(input.at - in.ptr) > allowed)
		err = -EAGAIN; /* as if the bytes too many were not looked at */
	if (err == -EAGAIN && in.len >= allowed + 2)
		err = http_refuse(&input, 431, "trailers_too_large", in.ptr + allowed);
	if (err == -EAGAIN)
		return 0;
	if (err < 0) {
		chunked->trailers = false; /* http_chunked_read() refuses from now on */
		chunked->state = 0;
		return err;
	}
	field.hop = !http_trailer_allowed(field.name);
	took_line(chunked, &field, (size_t)(input.at - in.ptr));
	*ret_field = field;
	return input.at - in.ptr;
}
