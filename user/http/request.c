/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Request heads, RFC 9112 section 3. */
#include <errno.h>

#include "base/parse.h"
#include "http/input.h"
#include "http/token.h"

#define MAX_EMPTY_LINES 4  /* before a request; RFC 9112 section 2.2 asks for one */
#define MAX_METHOD	64 /* bytes of a method's name */
#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))

static const struct slice methods[] = {
	[HTTP_GET] = {"GET", 3},     [HTTP_HEAD] = {"HEAD", 4},	    [HTTP_POST] = {"POST", 4},
	[HTTP_PUT] = {"PUT", 3},     [HTTP_DELETE] = {"DELETE", 6}, [HTTP_OPTIONS] = {"OPTIONS", 7},
	[HTTP_PATCH] = {"PATCH", 5}, [HTTP_TRACE] = {"TRACE", 5},   [HTTP_CONNECT] = {"CONNECT", 7},
};

bool http_method_idempotent(enum http_method method)
{
	switch (method) {
	case HTTP_GET:
	case HTTP_HEAD:
	case HTTP_PUT:
	case HTTP_DELETE:
	case HTTP_OPTIONS:
	case HTTP_TRACE:
		return true;
	default:
		return false;
	}
}

/* Methods are case-sensitive, RFC 9110 section 9.1. */
enum http_method http_method_of(struct slice name)
{
	for (size_t i = HTTP_GET; i < COUNT(methods); i++) {
		if (slice_eq(methods[i], name))
			return (enum http_method)i;
	}
	return HTTP_OTHER;
}

static int read_empty_lines(struct http_input *in)
{
	for (unsigned n = 0; in->at < in->end && *in->at == '\r'; n++) {
		int err;

		if (n == MAX_EMPTY_LINES)
			return http_refuse(in, 400, "empty_lines", in->at);
		err = http_read_crlf(in, "bad_line_end");
		if (err < 0)
			return err;
	}
	return in->at < in->end ? 0 : -EAGAIN;
}

static int read_method(struct http_input *in, struct http_head *head)
{
	const char *stop = byte_run(in->at, in->end, BYTE_TOKEN);

	if (stop - in->at > MAX_METHOD)
		return http_refuse(in, 501, "method_too_long", in->at + MAX_METHOD);
	if (stop == in->end)
		return -EAGAIN;
	if (stop == in->at || *stop != ' ')
		return http_refuse(in, 400, "bad_method", stop);
	head->method_text = (struct slice){in->at, (size_t)(stop - in->at)};
	head->method = http_method_of(head->method_text);
	/* RFC 9110 sections 9.3.6 and 9.3.8: tunnels to anywhere and echoes of what other proxies
	 * have added are not for a load balancer's clients. */
	if (head->method == HTTP_CONNECT || head->method == HTTP_TRACE)
		return http_refuse(in, 405, "method_not_allowed", in->at);
	in->at = stop + 1;
	return 0;
}

/*
 * absolute-form, RFC 9112 section 3.2.2: its authority replaces Host, its path and query become
 * the target.
 */
static int take_absolute(struct http_input *in, struct http_head *head)
{
	struct slice rest = {head->target.ptr + 7, head->target.len - 7};
	const char *path = rest.ptr, *end = rest.ptr + rest.len, *stop;

	while (path < end && *path != '/' && *path != '?')
		path++;
	head->authority = (struct slice){rest.ptr, (size_t)(path - rest.ptr)};
	stop = authority_stop(head->authority);
	if (stop)
		return http_refuse(in, 400, "bad_authority", stop);
	if (path < end)
		head->target = (struct slice){path, (size_t)(end - path)};
	else /* RFC 9112 sections 3.2.1 and 3.2.4 */
		head->target = head->method == HTTP_OPTIONS ? SLICE("*") : SLICE("/");
	return 0;
}

/* RFC 9110 section 4.2.3: an empty path is "/". */
void http_complete_target(struct http_head *head, char *text)
{
	struct slice host = head->authority;
	char *slash;

	if (head->target.len == 0 || head->target.ptr[0] != '?')
		return;
	slash = text + (host.ptr - text) - 1;
	memmove(slash, host.ptr, host.len);
	slash[host.len] = '/';
	head->authority.ptr = slash;
	head->target = (struct slice){slash + host.len, head->target.len + 1};
	for (unsigned i = 0; i < head->n_headers; i++) {
		if (head->headers[i].value.ptr == host.ptr)
			head->headers[i].value = head->authority;
	}
}

static int judge_target(struct http_input *in, struct http_head *head)
{
	struct slice target = head->target;

	if (target.len == 0)
		return http_refuse(in, 400, "bad_target", in->at);
	if (target.ptr[0] == '/')
		return 0;
	if (slice_eq(target, SLICE("*")) && head->method == HTTP_OPTIONS)
		return 0;
	/* Other schemes too: what https names is not what a plain connection may fetch. */
	if (target.len < 7 || strncasecmp(target.ptr, "http://", 7) != 0)
		return http_refuse(in, 400, "bad_target", target.ptr);
	return take_absolute(in, head);
}

static int read_target(struct http_input *in, struct http_head *head)
{
	const char *limit = in->end;
	const char *stop;
	int err;

	if (in->end - in->at > HTTP_MAX_LINE + 1)
		limit = in->at + HTTP_MAX_LINE + 1;
	stop = byte_run(in->at, limit, BYTE_TARGET);
	if (stop - in->at > HTTP_MAX_LINE)
		return http_refuse(in, 414, "target_too_long", stop);
	if (stop == in->end)
		return -EAGAIN;
	if (*stop != ' ')
		return http_refuse(in, 400, "bad_target", stop);
	head->target = (struct slice){in->at, (size_t)(stop - in->at)};
	err = judge_target(in, head);
	if (err == 0)
		in->at = stop + 1;
	return err;
}

/* RFC 9112 section 3.2: one Host, valid; only HTTP/1.0 may leave it out. */
static int judge_host(struct http_input *in, struct http_head *head, struct http_fields *fields)
{
	struct http_header *host = fields->first[HTTP_H_HOST];
	const char *stop;

	if (fields->count[HTTP_H_HOST] > 1)
		return http_refuse(in, 400, "duplicate_host", http_second(head, host));
	if (!host)
		return head->minor == 0 ? 0 : http_refuse(in, 400, "no_host", in->at);
	stop = authority_stop(host->value);
	if (stop)
		return http_refuse(in, 400, "bad_host", stop);
	if (head->authority.len > 0)
		host->value = head->authority;
	else
		head->authority = host->value;
	return 0;
}

/* RFC 9110 section 10.1.1; HTTP/1.0 cannot expect anything. */
static int judge_expect(struct http_input *in, struct http_head *head)
{
	for (unsigned i = 0; i < head->n_headers; i++) {
		const struct http_header *header = &head->headers[i];

		if (header->id != HTTP_H_EXPECT || head->minor == 0)
			continue;
		if (!slice_caseeq(header->value, SLICE("100-continue")))
			return http_refuse(in, 417, "unknown_expectation", header->value.ptr);
		head->expect_continue =
			head->framing == HTTP_BODY_CHUNKED || head->content_length > 0;
	}
	return 0;
}

/*
 * RFC 9110 section 7.6.2: OPTIONS alone need heed it, TRACE is refused. What is larger than our
 * number goes on as the largest that is.
 */
static int judge_max_forwards(struct http_input *in, struct http_head *head,
			      const struct http_fields *fields)
{
	const struct http_header *field = fields->first[HTTP_H_MAX_FORWARDS];
	const char *end, *stop;

	if (!field || head->method != HTTP_OPTIONS)
		return 0;
	if (fields->count[HTTP_H_MAX_FORWARDS] > 1)
		return http_refuse(in, 400, "duplicate_max_forwards", http_second(head, field));
	end = field->value.ptr + field->value.len;
	stop = byte_run(field->value.ptr, end, BYTE_DIGIT);
	if (field->value.len == 0 || stop < end)
		return http_refuse(in, 400, "bad_max_forwards", stop);
	head->counts_hops = true;
	if (!parse_u64(field->value, &head->max_forwards))
		head->max_forwards = UINT64_MAX;
	return 0;
}

static int read_request_line(struct http_input *in, struct http_head *head)
{
	int err = read_empty_lines(in);

	if (err == 0)
		err = read_method(in, head);
	if (err == 0)
		err = read_target(in, head);
	if (err == 0)
		err = http_read_version(in, &head->minor);
	if (err == 0)
		err = http_read_crlf(in, "bad_request_line");
	return err;
}

static int read_request(struct http_input *in, struct http_head *head)
{
	struct http_fields fields;
	int err = read_request_line(in, head);

	if (err == 0)
		err = http_read_headers(in, head);
	if (err == 0)
		err = http_read_meaning(in, head, &fields);
	if (err == 0)
		err = judge_host(in, head, &fields);
	if (err == 0)
		err = judge_expect(in, head);
	if (err == 0)
		err = judge_max_forwards(in, head, &fields);
	return err;
}

ssize_t http_parse_request(struct slice in, struct http_head *ret_head,
			   struct http_refusal *ret_refusal)
{
	struct http_input input = http_input_init(in, false, ret_refusal);

	http_head_clear(ret_head);
	return http_input_result(&input, in, read_request(&input, ret_head));
}
