/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Bytes both ways between two channels until both have ended: relays and upgraded connections.
 *
 * For: exchanges, relays. Owns: nothing. May know: channels.
 */
#ifndef PROXY_TUNNEL_H
#define PROXY_TUNNEL_H

#include "proxy/channel.h"

void tunnel_init(struct channel *a, struct channel *b);
/* 1 while bytes may still flow, 0 when both sides have ended and were told so, -EPIPE when one
 * broke. Adds what it moved to <ret_moved>. */
int tunnel_run(struct channel *a, struct channel *b, uint64_t *ret_moved);

#endif
