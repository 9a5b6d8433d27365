/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Bulk: bytes that nobody looks at go from socket to socket inside the kernel.
 *
 * For: channel.c. Owns: nothing; a pipe with bytes in it belongs to the channel they go to.
 * May know: channels, pipes. Must never know: whose bytes they are.
 * Two system calls move a pipe of bytes, where copying takes two for a wire. But small parts cost
 * more than copying them, so it is only for senders that have filled several reads in a row.
 */
#ifndef PROXY_SPLICE_H
#define PROXY_SPLICE_H

#include "proxy/channel.h"

#define SPLICE_AFTER 4	       /* full reads in a row */
#define SPLICE_MIN   WIRE_SIZE /* what a pipe should get at least */

/* Bytes of <to> are in a pipe, or the next ones of <from> should go through one. */
bool splice_wanted(const struct channel *from, const struct channel *to);
/* One turn: into the pipe, out of it. PUMP_BLOCKED with the bytes moved, or whose error it was. */
enum pump_result splice_step(struct channel *from, struct channel *to, uint64_t *ret_moved);

#endif
