/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "proxy/tunnel.h"

#include <errno.h>

static void init_half(struct channel *channel)
{
	body_reader_init(&channel->reader, HTTP_BODY_UNTIL_CLOSE, 0);
	body_writer_init(&channel->writer, HTTP_BODY_UNTIL_CLOSE);
}

void tunnel_init(struct channel *a, struct channel *b)
{
	init_half(a);
	init_half(b);
}

static int run_half(struct channel *from, struct channel *to, uint64_t *ret_moved)
{
	struct pump pump = {.from = from, .to = to};
	enum pump_result result = channel_pump(&pump);

	*ret_moved += pump.moved;
	if (result == PUMP_AGAIN)
		loop_run_again(from->transport.loop, &from->transport.source);
	if (result == PUMP_DONE && !to->shut) {
		to->shut = true;
		transport_shutdown(&to->transport);
	}
	if (result == PUMP_DONE)
		return 0;
	return result == PUMP_BLOCKED || result == PUMP_AGAIN ? 1 : -EPIPE;
}

int tunnel_run(struct channel *a, struct channel *b, uint64_t *ret_moved)
{
	int forth = run_half(a, b, ret_moved);
	int back = run_half(b, a, ret_moved);

	if (forth < 0 || back < 0)
		return -EPIPE;
	return forth || back;
}
