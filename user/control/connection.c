/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One client: collecting requests, writing replies. */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/parse.h"
#include "control/server.h"

#define STEPS_PER_TURN	  64	      /* then others have their turn */
#define KEEP_BUFFER	  (64U << 10) /* larger ones are given back after each request */
#define LINGER_TIMEOUT_MS 1000

/* What a step says. */
enum step {
	STEP_AGAIN, /* something moved: go on */
	STEP_WAIT,  /* for the socket */
	STEP_READ,  /* for more input */
	STEP_CLOSE, /* nothing more can be done */
};

static void free_deferred(struct deferred *deferred)
{
	struct connection *connection = container_of(deferred, struct connection, deferred);

	buffer_fini(&connection->body);
	buffer_fini(&connection->out);
	free(connection->target);
	free(connection);
}

void connection_close(struct connection *connection)
{
	struct control *control = connection->control;

	if (connection->state == CONNECTION_CLOSED)
		return;
	connection->state = CONNECTION_CLOSED;
	timer_stop(control->loop, &connection->timer);
	loop_remove(control->loop, &connection->source);
	close(connection->source.fd);
	list_remove(&connection->node);
	control->n_connections--;
	if (connection->feed)
		control->n_streams--;
	loop_defer(control->loop, &connection->deferred);
	loop_run_again(control->loop, &control->listener); /* somebody may wait for the place */
}

/* The one function that moves the state. */
static enum step enter(struct connection *connection, enum connection_state state)
{
	struct control *control = connection->control;

	connection->state = state;
	if (state == CONNECTION_HEAD) {
		buffer_clear(&connection->out);
		connection->n_sent = 0;
		free(connection->target);
		connection->target = NULL;
	}
	timer_start(control->loop, &connection->timer,
		    state == CONNECTION_LINGER ? LINGER_TIMEOUT_MS : control->timeout_ms);
	return STEP_AGAIN;
}

static enum step refuse(struct connection *connection, unsigned status, const char *code,
			const char *message)
{
	connection_refuse(connection, status, code, message);
	return enter(connection, CONNECTION_REPLY);
}

static enum step refuse_bytes(struct connection *connection, const char *what,
			      const struct http_refusal *refusal)
{
	char message[128];

	(void)snprintf(message, sizeof(message), "the %s is refused: %s", what, refusal->reason);
	return refuse(connection, refusal->status, "bad_request", message);
}

static void shrink(struct buffer *buffer)
{
	if (buffer->size > KEEP_BUFFER)
		buffer_fini(buffer);
	else
		buffer_clear(buffer);
}

/* ---- Collecting ---------------------------------------------------------------------------- */

static void consume(struct connection *connection, size_t len)
{
	connection->n_in -= len;
	memmove(connection->in, connection->in + len, connection->n_in);
}

static enum step answer(struct connection *connection)
{
	connection->last = !connection->head.keep_alive;
	connection_answer(connection);
	shrink(&connection->body);
	if (connection->state == CONNECTION_CLOSED) /* the verb has closed the server */
		return STEP_CLOSE;
	return enter(connection, CONNECTION_REPLY);
}

/*
 * RFC 9110 section 10.1.1. All earlier replies are written, so the socket has room for these few
 * bytes; where it has not, the client will not wait for ever either.
 */
static enum step allow_body(struct connection *connection)
{
	static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";

	if (send(connection->source.fd, text, sizeof(text) - 1, MSG_NOSIGNAL) !=
	    (ssize_t)sizeof(text) - 1)
		return STEP_CLOSE;
	return STEP_AGAIN;
}

static enum step begin_body(struct connection *connection)
{
	const struct http_head *head = &connection->head;

	buffer_clear(&connection->body);
	http_chunked_init(&connection->chunked);
	connection->body_left = head->content_length;
	if (head->framing == HTTP_BODY_NONE ||
	    (head->framing == HTTP_BODY_LENGTH && head->content_length == 0))
		return answer(connection);
	if (head->framing == HTTP_BODY_LENGTH && head->content_length > CONTROL_MAX_BODY)
		return refuse(connection, 413, "body_too_large", "the body is larger than 1 MiB");
	if (head->expect_continue && connection->n_in == 0 && allow_body(connection) == STEP_CLOSE)
		return STEP_CLOSE;
	return enter(connection, CONNECTION_BODY);
}

/* Last-Event-ID; another text than a number is as good as none. */
static void find_last_event(struct connection *connection)
{
	connection->has_last_event = false;
	for (unsigned i = 0; i < connection->head.n_headers; i++) {
		const struct http_header *header = &connection->head.headers[i];

		if (slice_caseeq(header->name, SLICE("last-event-id")))
			connection->has_last_event =
				parse_u64(header->value, &connection->last_event);
	}
}

static enum step collect_head(struct connection *connection)
{
	struct http_refusal refusal;
	ssize_t n;

	if (connection->n_in == 0)
		return STEP_READ;
	n = http_parse_request((struct slice){connection->in, connection->n_in}, &connection->head,
			       &refusal);
	if (n == 0)
		return STEP_READ;
	if (n < 0) {
		connection->head.method = HTTP_OTHER;
		return refuse_bytes(connection, "request", &refusal);
	}
	connection->target = strndup(connection->head.target.ptr, connection->head.target.len);
	if (!connection->target)
		return STEP_CLOSE;
	find_last_event(connection);
	consume(connection, (size_t)n);
	return begin_body(connection);
}

static enum step take_body(struct connection *connection, struct slice data)
{
	buffer_append(&connection->body, data.ptr, data.len);
	if (connection->body.failed)
		return STEP_CLOSE;
	if (connection->body.len > CONTROL_MAX_BODY)
		return refuse(connection, 413, "body_too_large", "the body is larger than 1 MiB");
	return STEP_AGAIN;
}

static enum step collect_chunked(struct connection *connection)
{
	struct slice in = {connection->in, connection->n_in};
	struct http_refusal refusal;
	struct slice data;
	enum step step;
	ssize_t n;

	while (in.len > 0 && !connection->chunked.done) {
		n = http_chunked_read(&connection->chunked, in, &data, &refusal);
		if (n < 0)
			return refuse_bytes(connection, "body", &refusal);
		if (n == 0)
			break; /* half a trailer */
		step = take_body(connection, data);
		if (step == STEP_CLOSE || connection->state != CONNECTION_BODY)
			return step;
		in = (struct slice){in.ptr + n, in.len - (size_t)n};
	}
	consume(connection, connection->n_in - in.len);
	return connection->chunked.done ? answer(connection) : STEP_READ;
}

static enum step collect_length(struct connection *connection)
{
	size_t len = connection->n_in;
	enum step step;

	if (len > connection->body_left)
		len = (size_t)connection->body_left;
	step = take_body(connection, (struct slice){connection->in, len});
	if (step == STEP_CLOSE)
		return step;
	consume(connection, len);
	connection->body_left -= len;
	return connection->body_left == 0 ? answer(connection) : STEP_READ;
}

static enum step collect_body(struct connection *connection)
{
	return connection->head.framing == HTTP_BODY_CHUNKED ? collect_chunked(connection)
							     : collect_length(connection);
}

/* ---- Moving bytes -------------------------------------------------------------------------- */

static bool would_block(int err)
{
	return err == EAGAIN || err == EWOULDBLOCK;
}

/* More input behind what is there. A whole buffer was parsed or refused, so there is room. */
static enum step read_more(struct connection *connection)
{
	size_t room = sizeof(connection->in) - connection->n_in;
	ssize_t n;

	if (!(connection->source.ready & LOOP_READ))
		return STEP_WAIT;
	n = recv(connection->source.fd, connection->in + connection->n_in, room, 0);
	if (n < 0 && would_block(errno)) {
		connection->source.ready &= ~(unsigned)LOOP_READ;
		return STEP_WAIT;
	}
	if (n < 0 && errno == EINTR)
		return STEP_AGAIN;
	if (n <= 0)
		return STEP_CLOSE;
	if (connection->n_in == 0 && connection->state == CONNECTION_HEAD)
		timer_start(connection->control->loop, &connection->timer,
			    connection->control->timeout_ms);
	connection->n_in += (size_t)n;
	return STEP_AGAIN;
}

static enum step reply_done(struct connection *connection)
{
	shrink(&connection->out);
	connection->n_sent = 0;
	if (connection->feed)
		return enter(connection, CONNECTION_STREAM);
	if (!connection->last)
		return enter(connection, CONNECTION_HEAD);
	if (shutdown(connection->source.fd, SHUT_WR) < 0)
		return STEP_CLOSE;
	connection->n_in = 0;
	return enter(connection, CONNECTION_LINGER);
}

/* STEP_AGAIN: some of it, or all, was sent. */
static enum step send_some(struct connection *connection)
{
	struct buffer *out = &connection->out;
	ssize_t n;

	if (out->failed)
		return STEP_CLOSE;
	if (!(connection->source.ready & LOOP_WRITE))
		return STEP_WAIT;
	n = send(connection->source.fd, out->ptr + connection->n_sent,
		 out->len - connection->n_sent, MSG_NOSIGNAL);
	if (n < 0 && would_block(errno)) {
		connection->source.ready &= ~(unsigned)LOOP_WRITE;
		return STEP_WAIT;
	}
	if (n < 0)
		return errno == EINTR ? STEP_AGAIN : STEP_CLOSE;
	connection->n_sent += (size_t)n;
	timer_start(connection->control->loop, &connection->timer, connection->control->timeout_ms);
	return STEP_AGAIN;
}

static enum step write_more(struct connection *connection)
{
	enum step result = send_some(connection);

	if (result == STEP_AGAIN && connection->n_sent == connection->out.len)
		return reply_done(connection);
	return result;
}

static enum step linger(struct connection *connection)
{
	enum step step = read_more(connection);

	connection->n_in = 0;
	return step;
}

/* A client has nothing to say any more, but its end is heard. */
static enum step stream(struct connection *connection)
{
	struct buffer *out = &connection->out;

	if (connection->n_sent < out->len)
		return send_some(connection);
	shrink(out);
	connection->n_sent = 0;
	connection->feed(connection->control->ctx, &connection->cursor, out);
	return out->len > 0 ? STEP_AGAIN : linger(connection);
}

static enum step step(struct connection *connection)
{
	enum step result = STEP_CLOSE;

	switch (connection->state) {
	case CONNECTION_HEAD:
		result = collect_head(connection);
		break;
	case CONNECTION_BODY:
		result = collect_body(connection);
		break;
	case CONNECTION_REPLY:
		return write_more(connection);
	case CONNECTION_LINGER:
		return linger(connection);
	case CONNECTION_STREAM:
		return stream(connection);
	case CONNECTION_CLOSED:
		return STEP_CLOSE;
	}
	return result == STEP_READ ? read_more(connection) : result;
}

static void on_ready(struct source *source)
{
	struct connection *connection = container_of(source, struct connection, source);

	for (unsigned i = 0; i < STEPS_PER_TURN; i++) {
		enum step result = step(connection);

		if (result == STEP_WAIT)
			return;
		if (result == STEP_CLOSE) {
			connection_close(connection);
			return;
		}
	}
	loop_run_again(connection->control->loop, source);
}

/* A comment of a quiet stream: a client that is gone is found out by it. */
static void keep_alive(struct connection *connection)
{
	buffer_clear(&connection->out);
	connection->n_sent = 0;
	buffer_print(&connection->out, ":\n\n");
	timer_start(connection->control->loop, &connection->timer, connection->control->timeout_ms);
	on_ready(&connection->source);
}

/* A request that has begun is told; an idle or a stuck connection just ends. */
static void on_timeout(struct timer *timer)
{
	struct connection *connection = container_of(timer, struct connection, timer);
	bool begun = connection->state == CONNECTION_BODY ||
		     (connection->state == CONNECTION_HEAD && connection->n_in > 0);

	if (connection->state == CONNECTION_STREAM && connection->n_sent == connection->out.len) {
		keep_alive(connection);
		return;
	}
	if (!begun) {
		connection_close(connection);
		return;
	}
	connection->head.method = HTTP_OTHER;
	(void)refuse(connection, 408, "timeout", "the request was not finished in time");
	on_ready(&connection->source);
}

int connection_open(struct control *control, int fd)
{
	struct connection *connection = calloc(1, sizeof(*connection));
	int err;

	if (!connection)
		return -ENOMEM;
	connection->control = control;
	connection->deferred.run = free_deferred;
	timer_init(&connection->timer, on_timeout);
	err = loop_add(control->loop, &connection->source, fd, on_ready);
	if (err < 0) {
		free(connection);
		return err;
	}
	list_append(&control->connections, &connection->node);
	control->n_connections++;
	(void)enter(connection, CONNECTION_HEAD);
	return 0;
}
