/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * When to probe next.
 *
 * For: check.c. Owns: nothing. Knows: the words of health.h. The dice are the caller's.
 *
 * Delays run from the start of one probe to the start of the next. Chance only ever shortens the
 * interval, so that a backend that stops is down after fall * interval + timeout at the latest
 * (with a timeout no longer than the interval: probes do not overlap).
 */
#ifndef HEALTH_BACKOFF_H
#define HEALTH_BACKOFF_H

#include <stdbool.h>
#include <stdint.h>

#include "health/health.h"

struct health_backoff {
	uint32_t interval_ms;
	uint32_t max_ms;
	uint32_t jitter_percent;
	uint32_t ceiling_ms; /* of the next delay */
};

void health_backoff_init(struct health_backoff *backoff, const struct health_spec *spec);
/*
 * A phase somewhere in one interval: 1..interval. Before the first probe of a check that is not
 * in a hurry, else before the second.
 */
uint32_t health_backoff_phase(const struct health_backoff *backoff, uint32_t dice);
/*
 * The delay after a probe with the state after it. Up, or after a success: interval less up to
 * jitter percent. Down: the ceiling doubles with each failed probe up to max, and the delay is
 * anywhere from (interval less jitter) to it, so that recovering backends do not meet all probes
 * at once, and a dead one never sees more than a living one. <dice>: 32 random bits.
 */
uint32_t health_backoff_next(struct health_backoff *backoff, enum health_status status, bool good,
			     uint32_t dice);

#endif
