/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The one state machine of all checks: results in, status out.
 *
 * For: check.c. Owns: nothing. Knows: the words of health.h. No clock, no sockets.
 */
#ifndef HEALTH_STATE_H
#define HEALTH_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "health/health.h"

struct health_state {
	enum health_status status;
	uint32_t rise, fall; /* at least 1 */
	bool good;	     /* what the streak is made of */
	uint32_t streak;     /* equal results in a row; 0: none yet */
};

enum health_event {
	HEALTH_GOOD,	/* a probe succeeded */
	HEALTH_BAD,	/* a probe failed */
	HEALTH_SUSPECT, /* traffic failed: counts like a failed probe, but never decides */
};

void health_state_init(struct health_state *state, enum health_status start, uint32_t rise,
		       uint32_t fall);
/* The only function that moves a state; true when the status turned. */
bool health_state_step(struct health_state *state, enum health_event event);

#endif
