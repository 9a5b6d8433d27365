/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The server's insides: the listener and its connections.
 *
 * For: this room and its tests. Owns: what control.h says. May know: base, net, http.
 */
#ifndef CONTROL_SERVER_H
#define CONTROL_SERVER_H

#include "base/buffer.h"
#include "base/list.h"
#include "control/control.h"

#define CONTROL_MAX_CONNECTIONS 64	    /* more wait in the listener's queue */
#define CONTROL_MAX_STREAMS	16	    /* of these: they stay for hours */
#define CONTROL_MAX_REPLY	(16U << 20) /* bytes of a reply's body */
#define CONTROL_TIMEOUT_MS	10000	    /* a request; an idle connection; a reply's next byte */

struct control {
	struct loop *loop;
	struct source listener;
	char *path;
	const struct control_route *routes;
	void *ctx;
	struct list connections;
	unsigned n_connections;
	unsigned n_streams;
	uint32_t timeout_ms;
	struct deferred deferred;
};

/*
 *   HEAD     collecting a request's head; nothing collected yet: idle
 *   BODY     collecting its body
 *   REPLY    writing the reply; nothing is read, so a client that does not read its replies
 *            cannot make more of them
 *   LINGER   the last reply is written and our half closed; what still comes is thrown away, so
 *            that the client reads the reply before it sees the end
 *   STREAM   writing events as they come; what is read is thrown away
 *   CLOSED   the memory goes at the end of the turn
 *
 *   HEAD  --head, no body--> REPLY      HEAD --head, body--> BODY      BODY --all--> REPLY
 *   HEAD, BODY --refused, timeout--> REPLY --written--> HEAD, or LINGER after the last
 *   REPLY --head of a stream written--> STREAM
 *   any   --end, error, timeout--> CLOSED
 */
enum connection_state {
	CONNECTION_HEAD,
	CONNECTION_BODY,
	CONNECTION_REPLY,
	CONNECTION_LINGER,
	CONNECTION_STREAM,
	CONNECTION_CLOSED,
};

struct connection {
	struct source source;
	struct timer timer;
	struct deferred deferred;
	struct list node;
	struct control *control;
	enum connection_state state;
	bool last; /* close after this reply */
	/* The request. */
	struct http_head head; /* its slices end with the state HEAD */
	char *target;
	bool has_last_event;
	uint64_t last_event;
	struct http_chunked chunked;
	uint64_t body_left; /* HTTP_BODY_LENGTH */
	struct buffer body;
	/* The reply. */
	struct buffer out;
	size_t n_sent;
	control_feed *feed; /* not NULL: the reply is a stream */
	uint64_t cursor;
	/* What was read and is not yet used. */
	size_t n_in;
	char in[HTTP_MAX_HEAD];
};

int connection_open(struct control *control, int fd);
void connection_close(struct connection *connection);

/* Writes the reply to the request that was collected into <connection->out>. */
void connection_answer(struct connection *connection);
/* The same for a request that was refused; the connection ends after it. */
void connection_refuse(struct connection *connection, unsigned status, const char *code,
		       const char *message);

#endif
