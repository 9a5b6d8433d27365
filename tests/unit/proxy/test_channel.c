/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "rig.h"

#include <sys/socket.h>

#include "proxy/channel.h"

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

/* What a peer that does not read costs: one wire for the direction, however much there is. */
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
			if (channel_pump(&pump) == PUMP_BLOCKED)
				break;
		}
		assert_int_equal(channel_pump(&pump), PUMP_BLOCKED);
		assert_true(wire_left(to.channel.out) > 0);
		assert_int_equal(buffers.n_taken, 1);
		end_close(&from);
		end_close(&to);
		buffer_pool_fini(&buffers);
		loop_free(loop);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_blocked_body_holds_one_wire),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
