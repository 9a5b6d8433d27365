/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Finding a backend for an exchange, and another one when that fails.
 *
 * For: exchange.c. Owns: nothing. May know: balancers, snapshots, upstreams.
 *
 * May a request be sent again? If none of it was written: always. If it is idempotent (RFC 9110
 * section 9.2.2), nothing of a response has gone to the client and all of it is still in its wire:
 * yes. Once on a new connection to the same backend if it was a reused one that had closed, which
 * is nobody's failure; else as often as the pool's retries say and for what they say, to a backend
 * that has not failed it yet, while there is one.
 */
#ifndef PROXY_ATTEMPT_H
#define PROXY_ATTEMPT_H

#include "proxy/exchange.h"

/* Once, before the others. */
void attempt_init(struct exchange *exchange);
/* Picks and starts connecting, trying others that fail at once. The next state; with ENDED,
 * <ret_status> is what to tell the client, and exchange->why the reason. */
enum exchange_state attempt_start(struct exchange *exchange, unsigned *ret_status);
/* Would attempt_lost() be true? */
bool attempt_may_repeat(const struct exchange *exchange, enum retry_on cause);
/* The upstream is of no use any more, nothing of its response was passed on. True: attempt_start()
 * may be called again. */
bool attempt_lost(struct exchange *exchange, enum retry_on cause, const char *why);
/* Counts what the upstream has moved since the last call. */
void attempt_count_bytes(struct exchange *exchange);
/* Uncounts and lets go of the upstream: kept for others if <keep>, and if it is in order. */
void attempt_end(struct exchange *exchange, bool keep);
/* Counts a failure of the backend and logs it. */
void attempt_failed(struct exchange *exchange, const char *why);

#endif
