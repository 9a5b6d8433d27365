/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * HTTP/1.1 messages as RFC 9112 frames them, strictly: what two parsers could read differently
 * is refused.
 *
 * For: parsing heads and chunked bodies, writing heads. Owns: nothing; all slices point into
 * the caller's bytes. No I/O, no allocation, no state outside its arguments.
 * May know: base. Must never know: sockets, routing, backends.
 */
#ifndef HTTP_MESSAGE_H
#define HTTP_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/slice.h"

#define HTTP_MAX_HEAD		16384 /* bytes of a head; one buffer */
#define HTTP_MAX_LINE		8192  /* of the request target: 414 above */
#define HTTP_MAX_HEADERS	100
#define HTTP_MAX_CHUNK_EXT	4096 /* bytes of chunk extensions beyond what the data pays for */
#define HTTP_MAX_TRAILERS	8192 /* bytes of a trailer section */
#define HTTP_MAX_TRAILER_FIELDS 64

enum http_method {
	HTTP_OTHER = 0, /* a valid token not named here: forwarded as it is */
	HTTP_GET,
	HTTP_HEAD,
	HTTP_POST,
	HTTP_PUT,
	HTTP_DELETE,
	HTTP_OPTIONS,
	HTTP_PATCH,
	HTTP_TRACE,
	HTTP_CONNECT,
};

enum http_method http_method_of(struct slice name); /* case-sensitive, RFC 9110 section 9.1 */
/* RFC 9110 section 9.2.2. */
bool http_method_idempotent(enum http_method method);

/* How long the body is, RFC 9112 section 6.3. */
enum http_framing {
	HTTP_BODY_NONE = 0,
	HTTP_BODY_LENGTH,
	HTTP_BODY_CHUNKED,
	HTTP_BODY_UNTIL_CLOSE, /* responses only */
};

/* Headers that framing, routing or hop-by-hop rules look at; the rest are HTTP_H_OTHER. */
enum http_header_id {
	HTTP_H_OTHER = 0,
	HTTP_H_HOST,
	HTTP_H_CONNECTION,
	HTTP_H_KEEP_ALIVE,
	HTTP_H_PROXY_CONNECTION,
	HTTP_H_PROXY_AUTHENTICATE,
	HTTP_H_PROXY_AUTHORIZATION,
	HTTP_H_TE,
	HTTP_H_TRAILER,
	HTTP_H_TRANSFER_ENCODING,
	HTTP_H_CONTENT_LENGTH,
	HTTP_H_UPGRADE,
	HTTP_H_EXPECT,
	HTTP_H_X_FORWARDED_FOR,
	HTTP_H_X_FORWARDED_PROTO,
	HTTP_H_X_FORWARDED_HOST,
	HTTP_H_FORWARDED,
	HTTP_H_VIA,
	HTTP_H_COOKIE,
	HTTP_H_X_REQUEST_ID,
	HTTP_H_TRACEPARENT,
	HTTP_H_MAX_FORWARDS,
	HTTP_H_DATE,
};

struct http_header {
	struct slice name;
	struct slice value; /* without surrounding white space */
	enum http_header_id id;
	bool hop; /* hop-by-hop, by its name or because Connection lists it: not forwarded */
};

struct http_head {
	/* Requests. */
	enum http_method method;
	struct slice method_text;
	/* Origin-form or "*", also when it came in absolute-form; a query whose path is empty
	 * begins with its '?', for "/?query" is nowhere in the bytes. */
	struct slice target;
	struct slice authority; /* from absolute-form, else Host; may be empty for HTTP/1.0 */
	bool counts_hops;	/* OPTIONS with Max-Forwards */
	uint64_t max_forwards;	/* then: how many more hops it may take */
	/* Responses. */
	unsigned status;
	struct slice reason;
	/* Both. */
	unsigned minor; /* 0 or 1 */
	struct http_header headers[HTTP_MAX_HEADERS];
	unsigned n_headers;
	enum http_framing framing;
	uint64_t content_length; /* what the field says; the body's with HTTP_BODY_LENGTH only */
	bool keep_alive;	 /* this hop may stay open after the message */
	bool expect_continue;
	bool upgrade; /* Connection: upgrade with an Upgrade header */
	/* Connection lists a field that may come in the trailer section too: none of it goes on. */
	bool drop_trailers;
};

/* Why a message was refused: the status to answer a client with, a reason word for the log
 * ("bad_header_name"), and where. */
struct http_refusal {
	unsigned status;
	const char *reason;
	size_t offset;
};

/*
 * After absolute-form the Host header's value is the authority too (RFC 9112 section 3.2.2).
 *
 * A whole request head at the start of <in>: its length in bytes, with <ret_head> filled;
 * 0 when more bytes are needed; -EBADMSG with <ret_refusal> filled. Leading empty lines are
 * counted in the length (RFC 9112 section 2.2). The answer to the same bytes does not depend on
 * how many calls saw a part of them. <ret_head> is the parser's workspace: it means something only
 * after success.
 */
ssize_t http_parse_request(struct slice in, struct http_head *ret_head,
			   struct http_refusal *ret_refusal);
/* The same for a response to <method>; 1xx heads are returned one by one. */
ssize_t http_parse_response(struct slice in, enum http_method method, struct http_head *ret_head,
			    struct http_refusal *ret_refusal);
/*
 * Gives a target that begins with '?' its '/', in <text>, the bytes that were parsed: they are
 * "http://host?query", and the host moves over the slash before it. They cannot be parsed again.
 */
void http_complete_target(struct http_head *head, char *text);
/* The first header of that id or NULL. */
const struct http_header *http_find(const struct http_head *head, enum http_header_id id);

/* ---- Chunked bodies, RFC 9112 section 7.1 -------------------------------------------------- */

struct http_chunked {
	uint64_t left; /* bytes of the current chunk */
	uint16_t ext_bytes;
	uint16_t trailer_bytes;
	uint8_t n_trailers;
	uint8_t digits;	    /* of the current chunk's size */
	uint8_t state;	    /* chunked.c */
	bool keep_trailers; /* the caller reads them: http_chunked_read() stops before them */
	bool trailers;	    /* the last chunk was read, the trailer section was not */
	bool done;	    /* the final CRLF was read */
};

void http_chunked_init(struct http_chunked *chunked);
/*
 * Reads from <in>; returns how many bytes it consumed (0: more input is needed) and the body bytes
 * among them in <ret_data> (may be empty; always a sub-slice of <in>), or -EBADMSG. One call
 * returns at most one run of data; call again with the rest until done or nothing is consumed.
 * Trailers are checked and dropped, whole lines at a time, unless keep_trailers was set. A
 * refusal's status is 400 or 431; of a response's body it means 502.
 */
ssize_t http_chunked_read(struct http_chunked *chunked, struct slice in, struct slice *ret_data,
			  struct http_refusal *ret_refusal);
/*
 * With <chunked>->trailers: the length of the next line of the trailer section, 0 until all of it
 * is there, or -EBADMSG. <ret_field> has an empty name at the end of the body; its hop says that
 * the field may not be passed on. A line is never longer than HTTP_MAX_TRAILERS + 2.
 */
ssize_t http_trailer_read(struct http_chunked *chunked, struct slice in,
			  struct http_header *ret_field, struct http_refusal *ret_refusal);
/* RFC 9110 section 6.5.1: fields that mean something before the body, or to this hop alone. */
bool http_trailer_allowed(struct slice name);

/* ---- Writing -------------------------------------------------------------------------------- */

/* Into memory of the caller. What does not fit sets <overflow> and is left out. */
struct http_writer {
	char *ptr;
	size_t len;
	size_t size;
	bool overflow;
};

/* Inline, so that words of ours are copied by their known lengths. */
static inline void http_put(struct http_writer *w, struct slice text)
{
	if (w->overflow || text.len > w->size - w->len) {
		w->overflow = true;
		return;
	}
	if (text.len > 0)
		memcpy(w->ptr + w->len, text.ptr, text.len);
	w->len += text.len;
}

void http_put_number(struct http_writer *w, uint64_t number);
void http_put_header(struct http_writer *w, struct slice name, struct slice value);
/* The target with its '/'. */
void http_put_request_line(struct http_writer *w, const struct http_head *head);
void http_put_status_line(struct http_writer *w, unsigned status, struct slice reason);
/* Every header of <head> that is not hop-by-hop, framing or Expect; the caller adds those. */
void http_put_end_to_end(struct http_writer *w, const struct http_head *head);
/* "1a2b\r\n"; at most HTTP_CHUNK_HEAD bytes. */
#define HTTP_CHUNK_HEAD 18
size_t http_chunk_head(uint64_t len, char out[static HTTP_CHUNK_HEAD]);
/* The reason phrase of a status we send ourselves. */
const char *http_status_text(unsigned status);

#endif
