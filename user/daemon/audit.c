/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "daemon/audit.h"

#define TURNS 10

static void read_counters(struct audit_row *row, const struct lb_live *live)
{
	/* closed first: what closes between the two reads is open still, never less than nothing.
	 */
	row->closed = __atomic_load_n(&live->closed, __ATOMIC_ACQUIRE);
	row->opened = __atomic_load_n(&live->opened, __ATOMIC_ACQUIRE);
}

static bool count(void *ctx, uint32_t record, const struct lb_flow *flow)
{
	struct audit *audit = ctx;
	struct audit_row *row = &audit->rows[flow->backend];

	(void)record;
	audit->flows++;
	if (!row->settled && (flow->word & LB_FLOW_COUNTED))
		row->counted++;
	return true;
}

static bool settle(struct audit_row *row, const struct lb_live *live)
{
	struct audit_row after;

	read_counters(&after, live);
	row->settled = after.opened == row->opened && after.closed == row->closed;
	row->open = after.opened - after.closed;
	return row->settled;
}

uint32_t audit_turn(struct audit *audit, const struct lb_live *live, audit_walk_fn *walk, void *ctx)
{
	uint32_t unsettled = 0;

	audit->flows = 0;
	for (uint32_t id = 1; id < LB_MAX_BACKENDS; id++) {
		if (audit->rows[id].settled)
			continue;
		audit->rows[id].counted = 0;
		read_counters(&audit->rows[id], &live[id]);
	}
	walk(ctx, count, audit);
	for (uint32_t id = 1; id < LB_MAX_BACKENDS; id++) {
		if (!audit->rows[id].settled && !settle(&audit->rows[id], &live[id]))
			unsettled++;
	}
	return unsettled;
}

void audit_run(struct audit *audit, const struct lb_live *live, audit_walk_fn *walk, void *ctx)
{
	for (int i = 0; i < TURNS && audit_turn(audit, live, walk, ctx) > 0; i++)
		;
}

int64_t audit_drift(const struct audit_row *row)
{
	return (int64_t)(row->open - row->counted);
}
