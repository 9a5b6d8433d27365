/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The control API's server: HTTP/1.1 + JSON on a Unix socket, dispatched over a table of routes.
 *
 * For: framing, methods, JSON in and out, errors in one form. Owns: its listener and connections.
 * May know: base, net, http, jansson. Must never know: what any route means.
 * Bodies up to CONTROL_MAX_BODY; a request that is not finished within 10 s is closed.
 */
#ifndef CONTROL_CONTROL_H
#define CONTROL_CONTROL_H

#include <jansson.h>

#include "base/buffer.h"
#include "base/error.h"
#include "http/message.h"
#include "net/loop.h"

#define CONTROL_MAX_BODY   (1U << 20)
#define CONTROL_MAX_ARGS   4
#define CONTROL_MAX_PARAMS 16

struct control_param {
	const char *name;
	const char *value; /* percent-decoded */
};

struct control_request {
	enum http_method method;	    /* HEAD is served as GET */
	const char *path;		    /* as it was sent, without the query */
	const char *args[CONTROL_MAX_ARGS]; /* what the '*' of the pattern stood for, decoded */
	struct control_param params[CONTROL_MAX_PARAMS]; /* query string */
	unsigned n_params;
	const json_t *body;  /* NULL: none was sent */
	bool has_last_event; /* Last-Event-ID was sent, and is a number */
	uint64_t last_event;
};

/*
 * What a stream of server-sent events (HTML, section 9.2) goes on with: appends to <out> what comes
 * after *cursor and moves it, a bounded amount at a time; nothing when there is nothing yet.
 */
typedef void control_feed(void *ctx, uint64_t *cursor, struct buffer *out);

struct control_reply {
	unsigned status; /* 200 unless changed */
	json_t *body;	 /* owned by the server; NULL: {} */
	/* Not NULL: instead of a body a stream, which the client ends. */
	control_feed *feed;
	uint64_t cursor;
};

typedef void control_fn(void *ctx, const struct control_request *request,
			struct control_reply *reply);

struct control_route {
	enum http_method method;
	const char *pattern; /* e.g. /v1/pools/ and a star: '*' is one segment */
	control_fn *fn;
};

struct control;

/* <routes> ends with a NULL pattern and outlives the server. Mode 0660. */
int control_start(struct loop *loop, const char *path, const struct control_route *routes,
		  void *ctx, struct control **ret_control, struct error *err);
/* The same with a socket that listens at <path> already; takes it over unless it fails. */
int control_adopt(struct loop *loop, int fd, const char *path, const struct control_route *routes,
		  void *ctx, struct control **ret_control);
int control_fd(const struct control *control); /* the listening socket, for another process */
/* As control_close, but the socket stays for who has it too. */
void control_give_up(struct control *control);
/* Unlinks the socket; NULL is fine. A verb may call it, then its own reply is not sent. */
void control_close(struct control *control);

/* There is something new for streams. NULL is fine. */
void control_wake(struct control *control);

/* {"error": {"code", "message", "field"}} with <status>; <field> may be NULL. */
void control_fail(struct control_reply *reply, unsigned status, const char *code, const char *field,
		  const char *fmt, ...) __attribute__((format(printf, 5, 6)));
const char *control_param(const struct control_request *request,
			  const char *name); /* NULL: absent */

#endif
