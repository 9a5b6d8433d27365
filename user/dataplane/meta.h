/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the daemon writes into lb_meta.
 *
 * For: open, heartbeat, watch. Owns: the default timeouts. May know: base, include/lb.
 */
#ifndef DATAPLANE_META_H
#define DATAPLANE_META_H

#include <stdint.h>

#include "lb/abi.h"

/* The kernel's clock of the flow table: see lb_meta. */
struct meta_clock {
	uint32_t tick_ns;
	uint32_t now; /* ticks */
};

/* Zeroed memory becomes this lbd's; the magic is written last. */
void meta_create(struct lb_meta *meta, uint32_t max_flows, const struct meta_clock *clock,
		 const char *build);
/* What another daemon left becomes this one's; what BPF writes stays. */
void meta_adopt(struct lb_meta *meta, const char *build);
/* Of idle flows by state; 0: the default. */
void meta_timeouts(struct lb_meta *meta, const uint32_t timeout_ms[static LB_FLOW_STATES]);
void meta_beat(struct lb_meta *meta);
void meta_hops_changed(struct lb_meta *meta);
/* The present tick, as the sweep's last one and the time since tell. */
uint32_t meta_ticks(const struct lb_meta *meta);

#endif
