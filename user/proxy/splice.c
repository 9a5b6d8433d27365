/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "proxy/splice.h"

#include <errno.h>

/* How many bytes of the body may go as they are. */
static uint64_t plain_left(const struct body_reader *reader)
{
	if (reader->done || reader->framing == HTTP_BODY_CHUNKED)
		return 0;
	return reader->framing == HTTP_BODY_LENGTH ? reader->left : UINT64_MAX;
}

bool splice_wanted(const struct channel *from, const struct channel *to)
{
	if (to->pipe)
		return true;
	return from->full_reads >= SPLICE_AFTER && !from->in && !to->out && !from->eof &&
	       to->writer.framing != HTTP_BODY_CHUNKED && plain_left(&from->reader) >= SPLICE_MIN &&
	       transport_pending(&from->transport) && transport_writable(&to->transport);
}

/* Did the body end where the socket does? A read that came back short would have told. */
static void look_behind(struct channel *from)
{
	char byte;

	(void)transport_peek(&from->transport, &byte, 1);
}

static ssize_t fill(struct channel *from, struct pipe *pipe)
{
	uint64_t left = plain_left(&from->reader);
	ssize_t n = transport_splice_in(&from->transport, pipe->fds[1],
					left < PIPE_SIZE ? (size_t)left : PIPE_SIZE);

	if (n < (ssize_t)SPLICE_MIN)
		from->full_reads = 0;
	if (n == 0)
		from->eof = true;
	if (n <= 0)
		return n;
	pipe->len = (uint32_t)n;
	from->received += (uint64_t)n;
	if (from->reader.framing == HTTP_BODY_LENGTH) {
		from->reader.left -= (uint64_t)n;
		from->reader.done = from->reader.left == 0;
	}
	if (from->reader.done)
		look_behind(from);
	return n;
}

/* What is left in it when the peer takes no more stays. */
static ssize_t drain(struct channel *to)
{
	struct pipe *pipe = to->pipe;
	ssize_t total = 0;

	while (pipe->len > 0 && transport_writable(&to->transport)) {
		ssize_t n = transport_splice_out(&to->transport, pipe->fds[0], pipe->len);

		if (n == -EAGAIN)
			break;
		if (n < 0)
			return n;
		pipe->len -= (uint32_t)n;
		to->sent += (uint64_t)n;
		total += n;
	}
	return total;
}

/* The pipe goes to <to> with the bytes in it, or back. 0 or what the socket says. */
static ssize_t take_in(struct channel *from, struct channel *to)
{
	struct pipe_pool *pool = &from->buffers->pipes;
	struct pipe *pipe = pipe_take(pool);
	ssize_t n;

	from->full_reads = pipe ? from->full_reads : 0;
	if (!pipe)
		return 0;
	n = fill(from, pipe);
	if (n > 0)
		to->pipe = pipe;
	else
		pipe_give(pool, pipe);
	/* A socket that knows no splice(2) is read. */
	if (n == -EINVAL)
		pool->failed = true;
	return n == -EAGAIN || n == -EINVAL ? 0 : n;
}

enum pump_result splice_step(struct channel *from, struct channel *to, uint64_t *ret_moved)
{
	ssize_t in = to->pipe ? 0 : take_in(from, to);
	ssize_t out;

	if (in < 0)
		return PUMP_FROM_ERROR;
	out = to->pipe ? drain(to) : 0;
	if (out < 0)
		return PUMP_TO_ERROR;
	if (to->pipe && to->pipe->len == 0) {
		pipe_give(&to->buffers->pipes, to->pipe);
		to->pipe = NULL;
	}
	*ret_moved = (uint64_t)(in + out);
	return PUMP_BLOCKED;
}
