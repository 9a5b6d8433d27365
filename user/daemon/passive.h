/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Passive checks: what clients' requests saw fail, made evidence of a backend's health.
 *
 * For: the proxy's reports. Owns: the state in struct backend_check. May know: pools, health.
 *
 * So many failures in a row, within the pool's window, make a backend suspect; what went well in
 * between shows in its live row, so successes cost nobody a report. Suspect means: where there are
 * active checks, a probe at once, which counts as one failed check that only a probe can complete.
 * Where there are none, and the pool asks for it, the backend is taken out for a while, twice as
 * long each time it fails again at once, and never if it is the only one that is left.
 */
#ifndef DAEMON_PASSIVE_H
#define DAEMON_PASSIVE_H

#include "daemon/load_balancer.h"
#include "pool/report.h"

#define PASSIVE_FAILURES  5 /* of pools that do not say */
#define PASSIVE_WINDOW_MS 10000
#define PASSIVE_LEAST_MS  1000 /* how long a backend is out at first */

struct backend_check;

/* State of one backend. */
struct passive {
	uint32_t failures;  /* in a row */
	uint64_t first_ms;  /* when the first of them was */
	int64_t ended_well; /* requests, as far as its row tells */
	uint32_t out_ms;    /* how long it was out last; 0: not yet, or well since */
	bool half_open;	    /* back, but the next failure takes it out again */
	struct timer back;
};

void passive_init(struct backend_check *check);
void passive_fini(struct backend_check *check);
/* For proxy_on_report(); <ctx> is the load balancer. */
void passive_report(void *ctx, const struct pool_report *report);

#endif
