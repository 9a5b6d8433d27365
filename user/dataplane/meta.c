/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "dataplane/meta.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/random.h"
#include "dataplane/maps.h"

#define SECOND 1000000000ULL

/*
 * Half-open records go before the client's third SYN (RFC 6298: 1 s, 3 s, 7 s, 15 s). Closing ones
 * follow IPVS (net/netfilter/ipvs/ip_vs_proto_tcp.c, tcp_timeouts: FIN_WAIT 2 min, CLOSE 10 s) and
 * conntrack. Established ones: IPVS gives 15 min, conntrack 5 days, and RFC 5382 asks NATs for
 * 2 h 4 min; an hour outlives usual keep-alives of applications.
 */
static const uint64_t timeouts[LB_FLOW_STATES] = {
	[LB_FLOW_CLAIMED] = 10 * SECOND,     [LB_FLOW_SYN] = 30 * SECOND,
	[LB_FLOW_SYNACK] = 30 * SECOND,	     [LB_FLOW_OPEN] = 3600 * SECOND,
	[LB_FLOW_FIN_CLIENT] = 120 * SECOND, [LB_FLOW_FIN_BACKEND] = 120 * SECOND,
	[LB_FLOW_CLOSING] = 10 * SECOND,     [LB_FLOW_RESET] = 2 * SECOND,
};

static void configure(struct lb_meta *meta, const char *build)
{
	meta->ctl_abi = LB_CTL_ABI;
	for (int state = 0; state < LB_FLOW_STATES; state++)
		__atomic_store_n(&meta->timeout_ns[state], timeouts[state], __ATOMIC_RELAXED);
	(void)snprintf(meta->build, sizeof(meta->build), "%.*s", (int)sizeof(meta->build) - 1,
		       build);
}

void meta_adopt(struct lb_meta *meta, const char *build)
{
	configure(meta, build);
	meta_beat(meta);
}

void meta_create(struct lb_meta *meta, uint32_t max_flows, const char *build)
{
	meta->flow_abi = LB_FLOW_ABI;
	meta->max_flows = max_flows;
	meta->netns = maps_netns();
	meta->hash_seed = random_u64();
	configure(meta, build);
	meta_beat(meta);
	__atomic_store_n(&meta->magic, LB_META_MAGIC, __ATOMIC_RELEASE);
}

void meta_beat(struct lb_meta *meta)
{
	__atomic_store_n(&meta->heartbeat_at, clock_ns(), __ATOMIC_RELAXED);
}

void meta_hops_changed(struct lb_meta *meta)
{
	__atomic_store_n(&meta->hops_changed_ms, (uint32_t)clock_ms(), __ATOMIC_RELAXED);
}
