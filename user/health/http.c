/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "health/probe.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "http/message.h"

#define MAX_BODY    65536 /* searched; what lies beyond is not */
#define MAX_INTERIM 8	  /* 1xx heads before the answer */
#define MAX_REQUEST 1024  /* method, path and host are bounded by their spec */

enum answer_part {
	ANSWER_HEAD, /* collecting a head in <in> */
	ANSWER_BODY, /* reading the body through <in>, which holds nothing between steps */
};

/* What one probe keeps. */
struct talk {
	const struct health_spec *spec; /* of the check, which outlives its probe */
	size_t sent, request_len;
	enum answer_part part;
	unsigned n_interim;
	enum http_framing framing;
	uint64_t length_left; /* with HTTP_BODY_LENGTH */
	struct http_chunked chunked;
	size_t body_len;
	char *body; /* the decoded start; allocated when there is something to find */
	size_t in_len;
	char request[MAX_REQUEST];
	char in[HTTP_MAX_HEAD];
};

static void end(void *arg)
{
	struct talk *talk = arg;

	if (!talk)
		return;
	free(talk->body);
	free(talk);
}

static int begin(const struct health_spec *spec, const struct addr *addr, void **ret_talk)
{
	char text[ADDR_TEXT_LEN];
	struct talk *talk = calloc(1, sizeof(*talk));
	int len;

	if (!talk)
		return -ENOMEM;
	talk->spec = spec;
	if (spec->body[0])
		talk->body = malloc(MAX_BODY);
	if (spec->body[0] && !talk->body)
		goto fail;
	len = snprintf(talk->request, sizeof(talk->request),
		       "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: lbd-health\r\n"
		       "Accept: */*\r\nConnection: close\r\n\r\n",
		       spec->method[0] ? spec->method : "GET", spec->path[0] ? spec->path : "/",
		       spec->host[0] ? spec->host : addr_format(addr, text));
	if (len < 0 || (size_t)len >= sizeof(talk->request))
		goto fail;
	talk->request_len = (size_t)len;
	*ret_talk = talk;
	return 0;
fail:
	end(talk);
	return -ENOMEM;
}

/* ---- The body ------------------------------------------------------------------------------ */

/* Keeps <data> and says whether what is wanted has come; it may lie across two reads. */
static bool find_in_body(struct talk *talk, struct slice data)
{
	size_t wanted = strlen(talk->spec->body);
	size_t from = talk->body_len >= wanted ? talk->body_len - wanted + 1 : 0;

	if (data.len > MAX_BODY - talk->body_len)
		data.len = MAX_BODY - talk->body_len;
	if (data.len == 0)
		return false;
	memcpy(talk->body + talk->body_len, data.ptr, data.len);
	talk->body_len += data.len;
	return memmem(talk->body + from, talk->body_len - from, talk->spec->body, wanted) != NULL;
}

static enum health_reason judge_body(struct talk *talk, struct slice data, bool complete)
{
	if (find_in_body(talk, data))
		return HEALTH_OK;
	return complete || talk->body_len == MAX_BODY ? HEALTH_WRONG_BODY : HEALTH_NOT_CHECKED;
}

static enum health_reason read_chunks(struct talk *talk, struct slice in)
{
	struct http_refusal refusal;
	struct slice data = {0};
	enum health_reason reason = HEALTH_NOT_CHECKED;

	/* Ends: each call consumes something, or it is the last. */
	while (reason == HEALTH_NOT_CHECKED) {
		ssize_t n = http_chunked_read(&talk->chunked, in, &data, &refusal);

		if (n < 0)
			return HEALTH_BAD_RESPONSE;
		reason = judge_body(talk, data, talk->chunked.done);
		if (n == 0)
			break;
		in = (struct slice){in.ptr + n, in.len - (size_t)n};
	}
	/* Half a chunk line, unread, stays for the next read. */
	memmove(talk->in, in.ptr, in.len);
	talk->in_len = in.len;
	if (reason == HEALTH_NOT_CHECKED && in.len == sizeof(talk->in))
		return HEALTH_BAD_RESPONSE;
	return reason;
}

/* <in> is what was read and not yet used. */
static enum health_reason read_body(struct talk *talk, struct slice in)
{
	talk->in_len = 0;
	switch (talk->framing) {
	case HTTP_BODY_CHUNKED:
		return read_chunks(talk, in);
	case HTTP_BODY_LENGTH:
		if (in.len > talk->length_left)
			in.len = (size_t)talk->length_left;
		talk->length_left -= in.len;
		return judge_body(talk, in, talk->length_left == 0);
	case HTTP_BODY_UNTIL_CLOSE:
		return judge_body(talk, in, false);
	default:
		return HEALTH_WRONG_BODY;
	}
}

/* ---- The head ------------------------------------------------------------------------------ */

static bool is_wanted_status(const struct health_spec *spec, unsigned status)
{
	if (spec->n_status == 0)
		return status >= 200 && status <= 399;
	for (uint32_t i = 0; i < spec->n_status; i++) {
		if (status >= spec->status[i].first && status <= spec->status[i].last)
			return true;
	}
	return false;
}

static enum http_method method_of(const struct health_spec *spec)
{
	/* Only for HEAD a method changes how the answer is framed (RFC 9112 section 6.3). */
	return slice_eq(slice_of(spec->method), SLICE("HEAD")) ? HTTP_HEAD : HTTP_GET;
}

static enum health_reason judge_head(struct talk *talk, const struct http_head *head,
				     struct slice rest)
{
	if (!is_wanted_status(talk->spec, head->status))
		return HEALTH_WRONG_STATUS;
	if (!talk->body)
		return HEALTH_OK;
	talk->part = ANSWER_BODY;
	talk->framing = head->framing;
	talk->length_left = head->content_length;
	http_chunked_init(&talk->chunked);
	return read_body(talk, rest);
}

static enum health_reason read_head(struct talk *talk)
{
	struct slice in = {talk->in, talk->in_len};
	struct http_refusal refusal;
	struct http_head head;

	for (;;) {
		ssize_t n = http_parse_response(in, method_of(talk->spec), &head, &refusal);

		if (n < 0)
			return HEALTH_BAD_RESPONSE;
		if (n == 0)
			break;
		in = (struct slice){in.ptr + n, in.len - (size_t)n};
		if (head.status >= 200)
			return judge_head(talk, &head, in);
		/* 101 cannot be, as we asked for no upgrade (RFC 9110 section 15.2.2). */
		if (head.status == 101 || ++talk->n_interim > MAX_INTERIM)
			return HEALTH_BAD_RESPONSE;
	}
	if (in.len == sizeof(talk->in))
		return HEALTH_BAD_RESPONSE;
	memmove(talk->in, in.ptr, in.len);
	talk->in_len = in.len;
	return HEALTH_NOT_CHECKED;
}

/* ---- The connection ------------------------------------------------------------------------ */

static void send_request(struct talk *talk, struct source *source)
{
	size_t left = talk->request_len - talk->sent;
	ssize_t n = send(source->fd, talk->request + talk->sent, left, MSG_NOSIGNAL);

	if (n >= 0)
		talk->sent += (size_t)n;
	else if (errno != EAGAIN && errno != EINTR)
		talk->sent = talk->request_len; /* the peer is gone: reading tells how */
	if (n < (ssize_t)left)
		source->ready &= ~(unsigned)LOOP_WRITE;
}

/* The end of the connection is the end of a body that is framed by it, and of nothing else. */
static enum health_reason judge_end(const struct talk *talk)
{
	if (talk->part == ANSWER_BODY && talk->framing == HTTP_BODY_UNTIL_CLOSE)
		return HEALTH_WRONG_BODY;
	return HEALTH_CLOSED;
}

static enum health_reason receive(struct talk *talk, struct source *source)
{
	size_t room = sizeof(talk->in) - talk->in_len;
	ssize_t n = recv(source->fd, talk->in + talk->in_len, room, 0);
	bool line;

	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		if (errno == EAGAIN)
			source->ready &= ~(unsigned)LOOP_READ;
		return HEALTH_NOT_CHECKED;
	}
	if (n <= 0)
		return n == 0 ? judge_end(talk) : HEALTH_CLOSED;
	line = memchr(talk->in + talk->in_len, '\n', (size_t)n) != NULL;
	talk->in_len += (size_t)n;
	if (talk->part == ANSWER_BODY)
		return read_body(talk, (struct slice){talk->in, talk->in_len});
	/* Byte by byte, a head would be parsed thousands of times. */
	return line || talk->in_len == sizeof(talk->in) ? read_head(talk) : HEALTH_NOT_CHECKED;
}

static enum health_reason step(void *arg, struct source *source)
{
	struct talk *talk = arg;

	if (talk->sent < talk->request_len && source->ready & LOOP_WRITE)
		send_request(talk, source);
	return source->ready & LOOP_READ ? receive(talk, source) : HEALTH_NOT_CHECKED;
}

const struct health_ops health_http_ops = {
	.begin = begin,
	.step = step,
	.end = end,
};
