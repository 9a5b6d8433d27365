/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What an exchange waits for, and how long it does.
 *
 * For: exchange.c, which has the timer. Owns: nothing. Pure. May know: exchanges, channels.
 */
#ifndef PROXY_PATIENCE_H
#define PROXY_PATIENCE_H

#include "proxy/exchange.h"

enum exchange_wait patience_for(const struct exchange *exchange);
uint32_t patience_ms(const struct timeouts_spec *timeouts, enum exchange_wait wait);
/* Whom we wait for to take what is in our wire; NULL: we wait for something else. */
const struct channel *patience_taker(const struct exchange *exchange, enum exchange_wait wait);

#endif
