/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "proxy/channel.h"

#include <errno.h>

#include "proxy/splice.h"

int channel_open(struct channel *channel, struct loop *loop, struct buffer_pool *buffers, int fd,
		 void (*on_ready)(struct source *))
{
	channel->buffers = buffers;
	return transport_open(&channel->transport, loop, fd, on_ready);
}

static void drop(struct channel *channel, struct wire **wire)
{
	buffer_give(channel->buffers, *wire);
	*wire = NULL;
}

void channel_close(struct channel *channel)
{
	transport_close(&channel->transport);
	drop(channel, &channel->in);
	drop(channel, &channel->out);
	if (channel->pipe) /* never opened: no buffers either */
		pipe_give(&channel->buffers->pipes, channel->pipe);
	channel->pipe = NULL;
}

/* Of no more than UINT8_MAX. */
static void count_full(struct channel *channel, bool full)
{
	if (!full)
		channel->full_reads = 0;
	else if (channel->full_reads < UINT8_MAX)
		channel->full_reads++;
}

static void compact(struct wire *wire)
{
	if (wire->pos == 0)
		return;
	memmove(wire->data, wire->data + wire->pos, wire->len - wire->pos);
	wire->len -= wire->pos;
	wire->pos = 0;
}

ssize_t channel_read(struct channel *channel)
{
	struct wire *in = channel->in ? channel->in : buffer_take(channel->buffers);
	ssize_t n;

	if (!in)
		return -ENOMEM;
	channel->in = in;
	if (in->len >= WIRE_SIZE)
		compact(in);
	if (in->len >= WIRE_SIZE)
		return -ENOBUFS;
	n = transport_read(&channel->transport, in->data + in->len, WIRE_SIZE - in->len);
	count_full(channel, n > 0 && in->len + (size_t)n == WIRE_SIZE);
	if (n > 0) {
		in->len += (uint32_t)n;
		channel->received += (uint64_t)n;
	}
	if (n == 0)
		channel->eof = true;
	if (in->len == in->pos)
		drop(channel, &channel->in);
	return n;
}

void channel_consume(struct channel *channel, size_t len)
{
	if (len == 0)
		return;
	channel->in->pos += (uint32_t)len;
	if (channel->in->pos == channel->in->len)
		drop(channel, &channel->in);
}

struct wire *channel_out(struct channel *channel)
{
	if (!channel->out)
		channel->out = buffer_take(channel->buffers);
	return channel->out;
}

ssize_t channel_flush(struct channel *channel)
{
	struct wire *out = channel->out;
	ssize_t total = 0;

	while (wire_left(out) > 0 && transport_writable(&channel->transport)) {
		ssize_t n = transport_write(&channel->transport, out->data + out->pos,
					    out->len - out->pos);

		if (n == -EAGAIN)
			break;
		if (n < 0)
			return n;
		out->pos += (uint32_t)n;
		channel->sent += (uint64_t)n;
		total += n;
	}
	if (out && wire_left(out) == 0 && !channel->hold)
		drop(channel, &channel->out);
	return total;
}

/* A body that needs no framing and has the whole wire changes hands instead of being copied. */
static bool hand_over(struct channel *from, struct channel *to)
{
	struct body_reader *reader = &from->reader;
	uint32_t len = wire_left(from->in);

	if (to->out || to->writer.framing == HTTP_BODY_CHUNKED ||
	    reader->framing == HTTP_BODY_CHUNKED || reader->done)
		return false;
	if (reader->framing == HTTP_BODY_LENGTH && len > reader->left)
		return false;
	if (reader->framing == HTTP_BODY_LENGTH) {
		reader->left -= len;
		reader->done = reader->left == 0;
	}
	to->out = from->in;
	from->in = NULL;
	return true;
}

/* A body longer than its wire cannot be sent twice: the sent part makes room. */
static bool make_room(struct channel *to)
{
	if (!to->hold || !to->out || wire_left(to->out) > 0)
		return false;
	to->hold = false;
	drop(to, &to->out);
	return true;
}

static bool cramped(const struct channel *from, const struct channel *to)
{
	return body_cramped(&from->reader, from->in, body_room(&to->writer, to->out));
}

/* What is in from->in, into to->out. Bytes consumed, -EBADMSG or -ENOMEM. */
static ssize_t copy(struct pump *pump)
{
	struct channel *from = pump->from, *to = pump->to;
	size_t moved = 0;

	while (wire_left(from->in) > 0 && !from->reader.done) {
		size_t room = body_room(&to->writer, to->out);
		struct body_part part;
		ssize_t n;

		if (room == 0 || !channel_out(to))
			break;
		n = body_read(&from->reader, wire_slice(from->in), room, &part, &pump->refusal);
		if (n < 0)
			return n;
		body_write(&to->writer, to->out, &part);
		channel_consume(from, (size_t)n);
		moved += (size_t)n;
		if (n == 0)
			break;
	}
	return (ssize_t)moved;
}

static ssize_t move(struct pump *pump)
{
	struct channel *from = pump->from, *to = pump->to;
	ssize_t moved = 0;

	if (wire_left(from->in) > 0) {
		ssize_t len = wire_left(from->in);

		moved = hand_over(from, to) ? len : copy(pump);
		/* No event would come for the room made here: it is used at once. */
		if (moved == 0 && cramped(from, to) && make_room(to))
			moved = copy(pump);
	}
	if (from->reader.done && !to->writer.done && moved >= 0) {
		if (to->writer.framing == HTTP_BODY_CHUNKED && !channel_out(to))
			return -ENOMEM;
		body_write_end(&to->writer, to->out);
	}
	return moved;
}

/* Reads when the last bytes were moved on, or when they are half a chunk's frame; while the other
 * side takes nothing, what comes waits in the kernel. */
static ssize_t fill(struct channel *from, const struct channel *to)
{
	ssize_t n;

	if (from->reader.done || from->eof || !transport_pending(&from->transport))
		return 0;
	if (!channel_flushed(to) && !transport_writable(&to->transport))
		return 0;
	if (wire_left(from->in) > 0 && cramped(from, to))
		return 0;
	n = channel_read(from);
	if (n == -EAGAIN || n == -ENOBUFS)
		return 0;
	return n;
}

static enum pump_result copy_step(struct pump *pump, uint64_t *ret_moved)
{
	struct channel *from = pump->from, *to = pump->to;
	ssize_t read_bytes = fill(from, to);
	ssize_t moved, written;

	if (read_bytes < 0)
		return PUMP_FROM_ERROR;
	if (from->eof && !from->reader.done && wire_left(from->in) == 0)
		body_read_end(&from->reader);
	moved = move(pump);
	if (moved < 0)
		return moved == -EBADMSG ? PUMP_MALFORMED : PUMP_TO_ERROR;
	written = channel_flush(to);
	if (written < 0)
		return PUMP_TO_ERROR;
	*ret_moved = (uint64_t)read_bytes + (uint64_t)moved + (uint64_t)written;
	if (to->writer.done && channel_flushed(to))
		return PUMP_DONE;
	if (from->eof && !from->reader.done && read_bytes + moved == 0 && !cramped(from, to))
		return PUMP_TRUNCATED;
	return PUMP_BLOCKED;
}

static enum pump_result step(struct pump *pump, uint64_t *ret_moved)
{
	struct channel *from = pump->from, *to = pump->to;
	enum pump_result result;

	if (!splice_wanted(from, to))
		return copy_step(pump, ret_moved);
	result = splice_step(from, to, ret_moved);
	/* Nothing came, or the end of it. */
	if (result == PUMP_BLOCKED && *ret_moved == 0 && !to->pipe)
		return copy_step(pump, ret_moved);
	return result;
}

enum pump_result channel_pump(struct pump *pump)
{
	uint64_t began = pump->moved;

	for (;;) {
		uint64_t moved = 0;
		enum pump_result result = step(pump, &moved);

		pump->moved += moved;
		if (result != PUMP_BLOCKED || moved == 0)
			return result;
		if (pump->moved - began >= 2ULL * CHANNEL_BUDGET)
			return PUMP_AGAIN;
	}
}
