/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Response heads, RFC 9112 section 4. Whatever is wrong with one is a 502. */
#include <errno.h>

#include "http/input.h"
#include "http/token.h"

/* Three digits, 100 to 599 (RFC 9110 section 15). */
static int read_status(struct http_input *in, struct http_head *head)
{
	unsigned status = 0;

	for (size_t i = 0; i < 4; i++, in->at++) {
		if (in->at == in->end)
			return -EAGAIN;
		if (i == 0 ? *in->at != ' ' : !byte_is(*in->at, BYTE_DIGIT))
			return http_refuse(in, 502, "bad_status", in->at);
		if (i > 0)
			status = status * 10 + (unsigned)(*in->at - '0');
		if (i == 1 && (status < 1 || status > 5))
			return http_refuse(in, 502, "bad_status", in->at);
	}
	head->status = status;
	return 0;
}

/* [SP [reason]]: the space is required, but many leave it out with the reason. */
static int read_reason(struct http_input *in, struct http_head *head)
{
	const char *stop;

	if (in->at == in->end)
		return -EAGAIN;
	if (*in->at == ' ') {
		in->at++;
		stop = value_run(in->at, in->end);
		head->reason = (struct slice){in->at, (size_t)(stop - in->at)};
		in->at = stop;
	}
	return http_read_crlf(in, "bad_status_line");
}

/*
 * RFC 9112 section 6.3, items 1, 2 and 8. A 204 that speaks of a body (RFC 9110 section 8.6: it
 * must not) may send one after all: it would be read as the next response, which is for somebody
 * else.
 */
static void settle_framing(struct http_head *head, enum http_method method)
{
	if (head->status == 204 && (head->framing == HTTP_BODY_CHUNKED || head->content_length > 0))
		head->keep_alive = false;
	if (method == HTTP_HEAD || head->status < 200 || head->status == 204 || head->status == 304)
		head->framing = HTTP_BODY_NONE;
	else if (head->framing == HTTP_BODY_NONE)
		head->framing = HTTP_BODY_UNTIL_CLOSE;
	if (head->framing == HTTP_BODY_UNTIL_CLOSE)
		head->keep_alive = false;
}

static int read_response(struct http_input *in, struct http_head *head)
{
	struct http_fields fields;
	int err = http_read_version(in, &head->minor);

	if (err == 0)
		err = read_status(in, head);
	if (err == 0)
		err = read_reason(in, head);
	if (err == 0)
		err = http_read_headers(in, head);
	if (err == 0)
		err = http_read_meaning(in, head, &fields);
	return err;
}

ssize_t http_parse_response(struct slice in, enum http_method method, struct http_head *ret_head,
			    struct http_refusal *ret_refusal)
{
	struct http_input input = http_input_init(in, true, ret_refusal);
	int err;

	http_head_clear(ret_head);
	err = read_response(&input, ret_head);
	if (err == 0)
		settle_framing(ret_head, method);
	return http_input_result(&input, in, err);
}
