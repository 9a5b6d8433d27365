/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Whom an exchange waits for, and for how long.
 *
 * For: exchange.c. Owns: the exchange's timer and what it is for. May know: channels, time-outs.
 * Must never know: what becomes of an exchange whose time is over.
 */
#ifndef PROXY_PATIENCE_H
#define PROXY_PATIENCE_H

#include "proxy/exchange.h"

void patience_init(struct exchange *exchange); /* the head was read from the client, and no more */
/* The exchange has to wait; <progress>: bytes that were moved before it had to. The time begins
 * anew with another thing to wait for, and with progress. */
void patience_watch(struct exchange *exchange, uint64_t progress);
/* The timer is due. True: it goes on, for a peer that is slow, but takes what we have for it. */
bool patience_lasts(struct exchange *exchange);

#endif
