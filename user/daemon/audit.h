/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Recounting: the flows in the table that are counted, against opened - closed of each backend.
 *
 * For: POST /v1/audit. Owns: one row for every backend id. May know: dataplane, include/lb.
 * A backend's row is good when its counters were the same before and after the table was walked;
 * those that moved are counted again, a few times.
 */
#ifndef DAEMON_AUDIT_H
#define DAEMON_AUDIT_H

#include "dataplane/dataplane.h"

struct audit_row {
	uint64_t counted; /* flows in the table */
	uint64_t open;	  /* by the counters */
	uint64_t opened;  /* when <counted> was begun */
	uint64_t closed;
	bool settled; /* the counters stood still meanwhile */
};

struct audit {
	uint64_t flows; /* in the table, counted or not, at the last walk */
	struct audit_row rows[LB_MAX_BACKENDS];
};

/* One walk. Rows that are settled stay as they are; returns how many are not. <next> is called
 * for each flow by <walk>, which is dataplane_each_flow or a test's. */
typedef void audit_walk_fn(void *ctx, bool (*each)(void *, uint32_t, const struct lb_flow *),
			   void *each_ctx);
uint32_t audit_turn(struct audit *audit, const struct lb_live *live, audit_walk_fn *walk,
		    void *ctx);
/* Turns until all rows are settled, at most a few. */
void audit_run(struct audit *audit, const struct lb_live *live, audit_walk_fn *walk, void *ctx);
int64_t audit_drift(const struct audit_row *row); /* above 0: counted, but not in the table */

#endif
