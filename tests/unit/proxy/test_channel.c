/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "rig.h"

#include <sys/socket.h>

#include "proxy/channel.h"
#include "proxy/splice.h"

/* A channel on one end of a socket pair; the test holds the other. */
struct end {
	struct channel channel;
	int peer;
};

static void ignore(struct source *source)
{
	(void)source;
}

static void end_open(struct end *end, struct loop *loop, struct buffer_pool *buffers)
{
	int fds[2];

	memset(end, 0, sizeof(*end));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds),
			 0);
	end->peer = fds[1];
	assert_int_equal(channel_open(&end->channel, loop, buffers, fds[0], ignore), 0);
	end->channel.transport.source.ready = LOOP_READ | LOOP_WRITE;
}

static void end_close(struct end *end)
{
	channel_close(&end->channel);
	close(end->peer);
}

/* More than both sockets and a few wires hold. */
static void stuff(int fd)
{
	static char piece[WIRE_SIZE];
	size_t sent = 0;

	for (ssize_t n = 1; n > 0; sent += n > 0 ? (size_t)n : 0)
		n = send(fd, piece, sizeof(piece), MSG_NOSIGNAL);
	assert_true(sent > 4UL * WIRE_SIZE);
}

/* What a peer that does not read costs: one wire or pipe for the direction, however much there
 * is. */
static void a_blocked_body_holds_one_wire(void **state)
{
	const enum http_framing framings[] = {HTTP_BODY_UNTIL_CLOSE, HTTP_BODY_CHUNKED};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct buffer_pool buffers = {0};
		struct end from, to;
		struct pump pump = {.from = &from.channel, .to = &to.channel};
		struct loop *loop;

		assert_int_equal(loop_new(&loop), 0);
		end_open(&from, loop, &buffers);
		end_open(&to, loop, &buffers);
		body_reader_init(&from.channel.reader, HTTP_BODY_UNTIL_CLOSE, 0);
		body_writer_init(&to.channel.writer, framings[i]);
		for (int turn = 0; turn < 100; turn++) {
			stuff(from.peer);
			from.channel.transport.source.ready |= LOOP_READ;
			channel_pump(&pump);
			if (!channel_flushed(&to.channel))
				break;
		}
		assert_int_equal(channel_pump(&pump), PUMP_BLOCKED);
		assert_false(channel_flushed(&to.channel));
		assert_int_equal(buffers.n_taken + buffers.pipes.n_taken, 1);
		end_close(&from);
		end_close(&to);
		buffer_pool_fini(&buffers);
		loop_free(loop);
	}
}

/* A sender that leaves is noticed also where what it said just fills a wire that is kept to be sent
 * again. */
static void a_body_cut_short_is_so_however_full_its_wire_is(void **state)
{
	static const char body[WIRE_ROOM];

	(void)state;
	for (uint32_t room = 1000; room < 1003; room++) {
		struct buffer_pool buffers = {0};
		struct end from, to;
		struct pump pump = {.from = &from.channel, .to = &to.channel};
		struct loop *loop;

		assert_int_equal(loop_new(&loop), 0);
		end_open(&from, loop, &buffers);
		end_open(&to, loop, &buffers);
		body_reader_init(&from.channel.reader, HTTP_BODY_LENGTH, WIRE_ROOM);
		body_writer_init(&to.channel.writer, HTTP_BODY_LENGTH);
		to.channel.hold = true;
		channel_out(&to.channel)->len = WIRE_ROOM - room;
		assert_true(rig_send(from.peer, body, 1001));
		assert_int_equal(channel_pump(&pump), PUMP_BLOCKED);
		shutdown(from.peer, SHUT_WR);
		from.channel.transport.source.ready |= LOOP_READ | LOOP_HANGUP;
		assert_int_equal(channel_pump(&pump), PUMP_TRUNCATED);
		end_close(&from);
		end_close(&to);
		buffer_pool_fini(&buffers);
		loop_free(loop);
	}
}

/* ---- Bulk ---------------------------------------------------------------------------------- */

#define BULK (4UL << 20)

/* Byte <at> of everything sent here. */
static char pattern(size_t at)
{
	return (char)(at * 31 + at / 4096);
}

static size_t send_pattern(int fd, size_t at, size_t end)
{
	char piece[4096];
	ssize_t n = 0;

	for (; at < end && n >= 0; at += n > 0 ? (size_t)n : 0) {
		size_t len = end - at < sizeof(piece) ? end - at : sizeof(piece);

		for (size_t i = 0; i < len; i++)
			piece[i] = pattern(at + i);
		n = send(fd, piece, len, MSG_NOSIGNAL);
	}
	return at;
}

static size_t check_pattern(int fd, size_t at)
{
	char piece[4096];
	ssize_t n;

	while ((n = recv(fd, piece, sizeof(piece), 0)) > 0)
		for (ssize_t i = 0; i < n; i++, at++)
			if (piece[i] != pattern(at))
				fail_msg("byte %zu: expected %d, got %d", at, pattern(at),
					 piece[i]);
	return at;
}

struct bulk {
	const char *name;
	enum http_framing framing;
	bool no_pipes;
};

static const struct bulk bulks[] = {
	{"until the end", HTTP_BODY_UNTIL_CLOSE, false},
	{"with a length", HTTP_BODY_LENGTH, false},
	{"until the end, without pipes", HTTP_BODY_UNTIL_CLOSE, true},
	{"with a length, without pipes", HTTP_BODY_LENGTH, true},
};

/* Pumps BULK bytes from one peer to the other one. */
static void pump_bulk(struct end *from, struct end *to, size_t *ret_arrived)
{
	struct pump pump = {.from = &from->channel, .to = &to->channel};
	enum pump_result result = PUMP_BLOCKED;
	size_t sent = 0, arrived = 0;

	for (int turn = 0; turn < 100000 && result != PUMP_DONE; turn++) {
		sent = send_pattern(from->peer, sent, BULK);
		if (sent == BULK && from->channel.reader.framing == HTTP_BODY_UNTIL_CLOSE)
			shutdown(from->peer, SHUT_WR);
		from->channel.transport.source.ready = LOOP_READ | LOOP_WRITE;
		to->channel.transport.source.ready = LOOP_READ | LOOP_WRITE;
		result = channel_pump(&pump);
		assert_true(result == PUMP_DONE || result == PUMP_BLOCKED || result == PUMP_AGAIN);
		arrived = check_pattern(to->peer, arrived);
	}
	assert_int_equal(result, PUMP_DONE);
	*ret_arrived = arrived;
}

static void bulk_arrives_whole(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bulks) / sizeof(bulks[0]); i++) {
		const struct bulk *bulk = &bulks[i];
		struct buffer_pool buffers = {.pipes.failed = bulk->no_pipes};
		struct end from, to;
		struct loop *loop;
		size_t arrived = 0;

		assert_int_equal(loop_new(&loop), 0);
		end_open(&from, loop, &buffers);
		end_open(&to, loop, &buffers);
		body_reader_init(&from.channel.reader, bulk->framing, BULK);
		body_writer_init(&to.channel.writer, bulk->framing);
		pump_bulk(&from, &to, &arrived);
		if (arrived != BULK || from.channel.received != BULK || to.channel.sent != BULK)
			fail_msg("'%s': expected %lu bytes, got %zu", bulk->name, BULK, arrived);
		if ((buffers.pipes.n_free == 0) != bulk->no_pipes || buffers.pipes.n_taken != 0)
			fail_msg("'%s': %u pipes are free, %u taken", bulk->name,
				 buffers.pipes.n_free, buffers.pipes.n_taken);
		end_close(&from);
		end_close(&to);
		buffer_pool_fini(&buffers);
		loop_free(loop);
	}
}

static void what_follows_a_body_stays_in_the_socket(void **state)
{
	struct buffer_pool buffers = {0};
	struct end from, to;
	struct pump pump = {.from = &from.channel, .to = &to.channel};
	const size_t body = 4UL * WIRE_SIZE + SPLICE_MIN, more = 5;
	char text[16];
	struct loop *loop;

	(void)state;
	assert_int_equal(loop_new(&loop), 0);
	end_open(&from, loop, &buffers);
	end_open(&to, loop, &buffers);
	body_reader_init(&from.channel.reader, HTTP_BODY_LENGTH, body);
	body_writer_init(&to.channel.writer, HTTP_BODY_LENGTH);
	assert_int_equal(send_pattern(from.peer, 0, body + more), body + more);
	assert_int_equal(channel_pump(&pump), PUMP_DONE);
	assert_int_equal(check_pattern(to.peer, 0), body);
	assert_int_equal(buffers.pipes.n_free, 1);
	assert_true(transport_pending(&from.channel.transport));
	assert_int_equal(transport_read(&from.channel.transport, text, sizeof(text)), more);
	for (size_t i = 0; i < more; i++)
		assert_int_equal(text[i], pattern(body + i));
	end_close(&from);
	end_close(&to);
	buffer_pool_fini(&buffers);
	loop_free(loop);
}

/* A reused connection must be known to be quiet, without another system call to ask. */
static void after_a_body_in_bulk_the_socket_is_known_to_be_empty(void **state)
{
	struct buffer_pool buffers = {0};
	struct end from, to;
	struct pump pump = {.from = &from.channel, .to = &to.channel};
	const size_t body = 4UL * WIRE_SIZE + SPLICE_MIN;
	struct loop *loop;

	(void)state;
	assert_int_equal(loop_new(&loop), 0);
	end_open(&from, loop, &buffers);
	end_open(&to, loop, &buffers);
	body_reader_init(&from.channel.reader, HTTP_BODY_LENGTH, body);
	body_writer_init(&to.channel.writer, HTTP_BODY_LENGTH);
	assert_int_equal(send_pattern(from.peer, 0, body), body);
	assert_int_equal(channel_pump(&pump), PUMP_DONE);
	assert_int_equal(buffers.pipes.n_free, 1);
	assert_false(transport_pending(&from.channel.transport));
	end_close(&from);
	end_close(&to);
	buffer_pool_fini(&buffers);
	loop_free(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_blocked_body_holds_one_wire),
		cmocka_unit_test(a_body_cut_short_is_so_however_full_its_wire_is),
		cmocka_unit_test(bulk_arrives_whole),
		cmocka_unit_test(what_follows_a_body_stays_in_the_socket),
		cmocka_unit_test(after_a_body_in_bulk_the_socket_is_known_to_be_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
