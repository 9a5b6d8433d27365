/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "proxy/forward.h"

#include <errno.h>

#include "http/token.h"
#include "proxy/cookie.h"

/* Takes every header of that id out of what is passed on. */
static void withhold(struct http_head *head, enum http_header_id id)
{
	for (unsigned i = 0; i < head->n_headers; i++)
		if (head->headers[i].id == id)
			head->headers[i].hop = true;
}

static void put_framing(struct http_writer *w, enum http_framing framing, uint64_t length)
{
	if (framing == HTTP_BODY_CHUNKED)
		http_put_header(w, SLICE("Transfer-Encoding"), SLICE("chunked"));
	if (framing != HTTP_BODY_LENGTH)
		return;
	http_put(w, SLICE("Content-Length: "));
	http_put_number(w, length);
	http_put(w, SLICE("\r\n"));
}

/* A trailer section goes on with a chunked body only, and so does what announces its fields (RFC
 * 9110 section 6.6.2). */
static void settle_trailer(struct http_head *head, enum http_framing framing)
{
	if (framing != HTTP_BODY_CHUNKED || head->drop_trailers)
		withhold(head, HTTP_H_TRAILER);
}

/* RFC 9110 section 10.1.4: the client reads trailers, and through us so can the backend's reach it.
 */
static bool wants_trailers(const struct http_head *head)
{
	struct slice rest, coding;

	for (unsigned i = 0; i < head->n_headers && head->minor > 0; i++) {
		if (head->headers[i].id != HTTP_H_TE)
			continue;
		rest = head->headers[i].value;
		while (list_next(&rest, &coding)) {
			if (slice_caseeq(coding, SLICE("trailers")))
				return true;
		}
	}
	return false;
}

static void put_te(struct http_writer *w)
{
	http_put_header(w, SLICE("Connection"), SLICE("TE"));
	http_put_header(w, SLICE("TE"), SLICE("trailers"));
}

static void put_upgrade(struct http_writer *w, const struct http_head *head)
{
	const struct http_header *upgrade = http_find(head, HTTP_H_UPGRADE);

	if (!upgrade)
		return;
	http_put_header(w, SLICE("Connection"), SLICE("upgrade"));
	http_put_header(w, SLICE("Upgrade"), upgrade->value);
}

static void put_host(const struct forward_request *forward, struct http_head *head,
		     struct http_writer *w)
{
	const struct format *host = header_edits_host(forward->edits);
	char text[ADDR_TEXT_LEN];

	http_put(w, SLICE("Host: "));
	if (host)
		format_expand(host, variables_value, forward->variables, w);
	else if (head->authority.len == 0 && head->minor == 0 && !http_find(head, HTTP_H_HOST))
		http_put(w, slice_of(addr_format(&forward->local, text)));
	else
		http_put(w, head->authority);
	http_put(w, SLICE("\r\n"));
	withhold(head, HTTP_H_HOST);
}

/* RFC 9110 section 7.6.3: the version that was received. */
static void put_via(const struct http_head *head, uint32_t taken, struct http_writer *w)
{
	if (!(taken & 1U << HTTP_H_VIA))
		http_put_header(w, SLICE("Via"), head->minor ? SLICE("1.1 lbd") : SLICE("1.0 lbd"));
}

static void put_names(const struct forward_request *forward, struct http_writer *w)
{
	const struct request_id *names = forward->names;

	if (names->made_id && !header_edits_take(forward->edits, HTTP_H_X_REQUEST_ID))
		http_put_header(w, SLICE("X-Request-ID"), names->id);
	if (names->made_trace && !header_edits_take(forward->edits, HTTP_H_TRACEPARENT))
		http_put_header(w, SLICE("traceparent"), names->trace);
}

/* RFC 9110 section 7.6.2: one hop less for the next. */
static void put_max_forwards(const struct header_edits *edits, struct http_head *head,
			     struct http_writer *w)
{
	if (!head->counts_hops)
		return;
	withhold(head, HTTP_H_MAX_FORWARDS);
	if (header_edits_take(edits, HTTP_H_MAX_FORWARDS))
		return;
	http_put(w, SLICE("Max-Forwards: "));
	http_put_number(w, head->max_forwards - 1);
	http_put(w, SLICE("\r\n"));
}

static int finish(struct http_writer *w, struct wire *out)
{
	http_put(w, SLICE("\r\n"));
	if (w->overflow)
		return -EMSGSIZE;
	out->len += (uint32_t)w->len;
	return 0;
}

static struct http_writer writer_of(struct wire *out)
{
	size_t size = out->len < WIRE_HEAD ? WIRE_HEAD - out->len : 0;

	return (struct http_writer){.ptr = out->data + out->len, .size = size};
}

int forward_request_put(const struct forward_request *forward, struct http_head *head,
			struct wire *out)
{
	const struct header_edits *edits = forward->edits;
	struct http_writer w = writer_of(out);

	http_put_request_line(&w, head);
	put_host(forward, head, &w);
	header_edits_withhold(edits, head);
	forwarded_put(forward->forwarded, forward->variables->proto, edits->taken, head, &w);
	settle_trailer(head, head->framing);
	put_max_forwards(edits, head, &w);
	if (forward->cookie_name.len > 0)
		cookie_put_others(head, forward->cookie_name, &w);
	http_put_end_to_end(&w, head);
	put_via(head, edits->taken, &w);
	put_names(forward, &w);
	header_edits_put(edits, variables_value, forward->variables, &w);
	if (head->expect_continue)
		http_put_header(&w, SLICE("Expect"), SLICE("100-continue"));
	if (forward->upgrade)
		put_upgrade(&w, head);
	else if (wants_trailers(head))
		put_te(&w);
	put_framing(&w, head->framing, head->content_length);
	return finish(&w, out);
}

enum http_framing forward_framing(const struct http_head *head, unsigned client_minor)
{
	if (head->framing == HTTP_BODY_CHUNKED || head->framing == HTTP_BODY_UNTIL_CLOSE)
		return client_minor ? HTTP_BODY_CHUNKED : HTTP_BODY_UNTIL_CLOSE;
	return head->framing;
}

/* RFC 9110 section 8.6: without a body, a length says what a GET would have got. */
static void put_length_of_get(struct http_writer *w, const struct forward_response *forward,
			      const struct http_head *head)
{
	const struct http_header *length = http_find(head, HTTP_H_CONTENT_LENGTH);

	if (!length || head->framing != HTTP_BODY_NONE)
		return;
	if (head->status == 304 ||
	    (forward->method == HTTP_HEAD && head->status >= 200 && head->status != 204))
		http_put_header(w, SLICE("Content-Length"), length->value);
}

int forward_response_put(const struct forward_response *forward, struct http_head *head,
			 struct wire *out)
{
	struct http_writer w = writer_of(out);
	bool final = head->status >= 200;
	uint32_t taken = reply_edit_withhold(forward->notes, head);

	http_put_status_line(&w, head->status, head->reason);
	settle_trailer(head, forward->framing);
	http_put_end_to_end(&w, head);
	put_via(head, taken, &w);
	if (forward->date.len > 0 && !(taken & 1U << HTTP_H_DATE)) /* RFC 9110 section 6.6.1 */
		http_put_header(&w, SLICE("Date"), forward->date);
	reply_edit_put(forward->notes, forward->backend, &w);
	if (forward->upgrade)
		put_upgrade(&w, head);
	if (final && !forward->keep_alive)
		http_put_header(&w, SLICE("Connection"), SLICE("close"));
	else if (final && forward->client_minor == 0)
		http_put_header(&w, SLICE("Connection"), SLICE("keep-alive"));
	if (final) {
		put_framing(&w, forward->framing, head->content_length);
		put_length_of_get(&w, forward, head);
	}
	return finish(&w, out);
}
