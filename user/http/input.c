/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "http/input.h"

#include <errno.h>

#include "http/token.h"

/* So much is parsed each time a head has grown; all of it only when an end is in sight. */
#define PARSE_ALWAYS 1024

/* The array stays as it is: 4 KB that n_headers says nobody looks at. */
void http_head_clear(struct http_head *head)
{
	head->method = HTTP_OTHER;
	head->method_text = head->target = head->authority = head->reason = SLICE("");
	head->status = 0;
	head->minor = 0;
	head->n_headers = 0;
	head->framing = HTTP_BODY_NONE;
	head->content_length = 0;
	head->keep_alive = false;
	head->expect_continue = false;
	head->upgrade = false;
	head->counts_hops = false;
	head->max_forwards = 0;
	head->drop_trailers = false;
}

int http_refuse(struct http_input *in, unsigned status, const char *reason, const char *at)
{
	*in->refusal = (struct http_refusal){
		.status = in->response ? 502 : status,
		.reason = reason,
		.offset = (size_t)(at - in->start),
	};
	return -EBADMSG;
}

/*
 * Would a parse get to an end: an empty line, a line end that will be refused, or too many lines?
 * Keeps a head that comes in many small pieces from costing a whole parse for each.
 */
static bool worth_parsing(struct slice in)
{
	const char *end = in.ptr + in.len, *line = in.ptr, *lf;
	unsigned lines = 0;

	if (in.len >= HTTP_MAX_HEAD)
		return true;
	while ((lf = memchr(line, '\n', (size_t)(end - line))) != NULL) {
		if (lf - line < 2 || lf[-1] != '\r' || ++lines > HTTP_MAX_HEADERS)
			return true;
		line = lf + 1;
	}
	return memchr(in.ptr, '\0', in.len) != NULL;
}

struct http_input http_input_init(struct slice in, bool response, struct http_refusal *refusal)
{
	size_t len = in.len < HTTP_MAX_HEAD ? in.len : HTTP_MAX_HEAD;

	if (in.len > PARSE_ALWAYS && !worth_parsing(in))
		len = PARSE_ALWAYS;
	return (struct http_input){
		.start = in.ptr,
		.at = in.ptr,
		.end = len > 0 ? in.ptr + len : in.ptr,
		.response = response,
		.refusal = refusal,
	};
}

ssize_t http_input_result(struct http_input *in, struct slice all, int err)
{
	if (err == 0)
		return in->at - in->start;
	if (err != -EAGAIN)
		return err;
	if (all.len >= HTTP_MAX_HEAD)
		return http_refuse(in, 431, "head_too_large", in->end);
	return 0;
}

int http_read_crlf(struct http_input *in, const char *reason)
{
	for (size_t i = 0; i < 2; i++) {
		if (in->at + i == in->end)
			return -EAGAIN;
		if (in->at[i] != "\r\n"[i])
			return http_refuse(in, 400, reason, in->at + i);
	}
	in->at += 2;
	return 0;
}

/* RFC 9112 section 2.3: the name is case-sensitive, both numbers are single digits. */
int http_read_version(struct http_input *in, unsigned *ret_minor)
{
	static const char name[] = {'H', 'T', 'T', 'P', '/', '0', '.', '0'};
	const char *at = in->at;

	if (in->end - at >= (ptrdiff_t)sizeof(name) && memcmp(at, "HTTP/1.1", sizeof(name)) == 0) {
		in->at += sizeof(name); /* what nearly all say */
		*ret_minor = 1;
		return 0;
	}
	for (size_t i = 0; i < sizeof(name); i++, at++) {
		if (at == in->end)
			return -EAGAIN;
		if (name[i] == '0' ? !byte_is(*at, BYTE_DIGIT) : *at != name[i])
			return http_refuse(in, 400, "bad_version", at);
	}
	if (at[-3] != '1')
		return http_refuse(in, at[-3] == '0' ? 400 : 505, "version_not_supported", at - 3);
	in->at = at;
	*ret_minor = at[-1] == '0' ? 0 : 1; /* 1.2 and above: as 1.1, RFC 9110 section 2.5 */
	return 0;
}
