/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * HealthCheck: probes one address for ever and says when its state turns.
 *
 * For: active checks; one state machine (state.c) for all types, one file per type.
 * Owns: its probe's socket and timers. May know: base, net, http. Must never know: pools, maps.
 * It reports (owner, status, reason); the daemon takes it from there.
 */
#ifndef HEALTH_HEALTH_H
#define HEALTH_HEALTH_H

#include <stdbool.h>

#include "base/addr.h"
#include "health/spec.h"
#include "net/loop.h"

enum health_status { HEALTH_IS_UNKNOWN, HEALTH_IS_UP, HEALTH_IS_DOWN };

/* What the last probe saw. */
enum health_reason {
	HEALTH_NOT_CHECKED,
	HEALTH_OK,
	HEALTH_CONNECT_REFUSED,
	HEALTH_CONNECT_TIMEOUT,
	HEALTH_CONNECT_UNREACHABLE,
	HEALTH_CONNECT_FAILED,
	HEALTH_CLOSED, /* before an answer was complete */
	HEALTH_ANSWER_TIMEOUT,
	HEALTH_BAD_RESPONSE, /* not HTTP */
	HEALTH_WRONG_STATUS,
	HEALTH_WRONG_BODY,
	HEALTH_REASON_COUNT
};
extern const struct strtable health_reason_names; /* "connect_refused" */

struct health_info {
	enum health_status status;
	enum health_reason reason; /* of the last probe */
	uint32_t streak;	   /* equal results in a row */
	uint64_t probed_wall_ms;   /* end of the last probe; 0: none yet */
	uint64_t good_wall_ms;	   /* ... of the last success */
	uint32_t next_in_ms;	   /* until the next probe; 0 while one runs */
	uint32_t delay_ms;	   /* the interval now, with backoff */
};

struct health_check;

/*
 * on_result is called after every probe with the state after it; on a turn of state too. The
 * check may be closed inside it. <start> is the state carried over from before a reload.
 */
typedef void health_result_fn(void *owner, enum health_status status, enum health_reason reason);

/* The first probe goes out at once when <start> is unknown, else within one interval. */
int health_start(struct loop *loop, const struct health_spec *spec, const struct addr *addr,
		 enum health_status start, health_result_fn *on_result, void *owner,
		 struct health_check **ret_check);
void health_run(struct health_check *check); /* probe now, if none is running */
/* Evidence from traffic: counts as suspicion, probes at once. */
void health_suspect(struct health_check *check);
void health_info(const struct health_check *check, struct health_info *ret_info);
/* What an earlier check of the same backend saw, and when. */
void health_carry(struct health_check *check, const struct health_info *earlier);
void health_close(struct health_check *check); /* NULL is fine */

#endif
