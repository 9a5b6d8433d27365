/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which backends have failed one request or connection, and how often another may be asked.
 *
 * For: attempts of exchanges, relays. Owns: nothing. May know: pools, admission's questions.
 * Must never know: what failed; the caller says why and asks whether the pool retries for that.
 *
 * A relay can try again only what came before its first byte: RETRY_CONNECT. It does not keep what
 * the client has sent, so the other causes of a pool mean nothing to it.
 */
#ifndef PROXY_RETRIES_H
#define PROXY_RETRIES_H

#include "proxy/admission.h"

#define RETRIES_MAX_TRIES (1 + POOL_MAX_RETRIES)

struct retries {
	uint16_t tried[RETRIES_MAX_TRIES]; /* in order; admission chooses others while there are */
	uint8_t n_tried;
	uint8_t left;
	uint8_t on; /* bits of enum retry_on */
};

void retries_init(struct retries *retries, const struct pool_spec *pool);
/* What admission is to be asked next. */
struct admission_ask retries_ask(struct retries *retries, const struct snapshot_pool *pool,
				 const struct pick_key *key);
bool retries_allow(const struct retries *retries, enum retry_on cause);
/* <backend> has failed. True: one of the retries is used up for <cause>, another may be asked. */
bool retries_lost(struct retries *retries, uint16_t backend, enum retry_on cause);
/* Why no connection could be made, a constant word; <err> is negative. */
const char *retries_connect_word(int err);
/* It is this machine that cannot make one; no backend is to be blamed. */
bool retries_is_own_want(int err);

#endif
