/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "health/state.h"

void health_state_init(struct health_state *state, enum health_status start, uint32_t rise,
		       uint32_t fall)
{
	*state = (struct health_state){.status = start, .rise = rise, .fall = fall};
}

static void count(struct health_state *state, bool good)
{
	if (state->streak == 0 || state->good != good)
		state->streak = 0;
	state->good = good;
	if (state->streak < UINT32_MAX)
		state->streak++;
}

/*
 *	status    good                       bad                        suspect
 *	unknown   up                         down                       -
 *	up        up, streak 1, 2, ...       down at a streak of fall   counts up to fall - 1
 *	down      up at a streak of rise     down, streak 1, 2, ...     -
 *
 * The first result decides, so that services can open after one probe of each backend.
 */
bool health_state_step(struct health_state *state, enum health_event event)
{
	enum health_status before = state->status;

	if (event == HEALTH_SUSPECT) {
		bool room = state->good || state->streak + 1 < state->fall;

		if (before == HEALTH_IS_UP && state->fall > 1 && room)
			count(state, false);
		return false;
	}
	count(state, event == HEALTH_GOOD);
	if (before != HEALTH_IS_UP && state->good &&
	    (before == HEALTH_IS_UNKNOWN || state->streak >= state->rise))
		state->status = HEALTH_IS_UP;
	if (before != HEALTH_IS_DOWN && !state->good &&
	    (before == HEALTH_IS_UNKNOWN || state->streak >= state->fall))
		state->status = HEALTH_IS_DOWN;
	return state->status != before;
}
