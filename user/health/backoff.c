/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "health/backoff.h"

void health_backoff_init(struct health_backoff *backoff, const struct health_spec *spec)
{
	*backoff = (struct health_backoff){
		.interval_ms = spec->interval_ms,
		.max_ms = spec->backoff_max_ms > spec->interval_ms ? spec->backoff_max_ms
								   : spec->interval_ms,
		.jitter_percent = spec->jitter_percent < 100 ? spec->jitter_percent : 100,
	};
}

/* low..high by <dice>; at least 1, so that there is always a pause. */
static uint32_t between(uint64_t low, uint64_t high, uint32_t dice)
{
	uint64_t ms = low + (((high - low + 1) * dice) >> 32);

	return ms > 0 ? (uint32_t)ms : 1;
}

uint32_t health_backoff_phase(const struct health_backoff *backoff, uint32_t dice)
{
	return between(0, backoff->interval_ms, dice);
}

/* The first failed probe of a down backend is followed by one interval, the next by two, ... */
static uint32_t next_ceiling(const struct health_backoff *backoff)
{
	uint64_t ceiling = (uint64_t)backoff->ceiling_ms * 2;

	if (ceiling == 0)
		return backoff->interval_ms;
	return ceiling > backoff->max_ms ? backoff->max_ms : (uint32_t)ceiling;
}

uint32_t health_backoff_next(struct health_backoff *backoff, enum health_status status, bool good,
			     uint32_t dice)
{
	uint64_t shortest = backoff->interval_ms -
			    (uint64_t)backoff->interval_ms * backoff->jitter_percent / 100;

	if (status != HEALTH_IS_DOWN || good) {
		backoff->ceiling_ms = 0;
		return between(shortest, backoff->interval_ms, dice);
	}
	backoff->ceiling_ms = next_ceiling(backoff);
	return between(shortest, backoff->ceiling_ms, dice);
}
