/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "dataplane/meta.h"

#include <stdio.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/random.h"
#include "dataplane/maps.h"

#define SECOND 1000000000ULL

/*
 * Seconds. Half-open records go before the client's third SYN (RFC 6298: 1 s, 3 s, 7 s, 15 s).
 * Closing ones follow IPVS (net/netfilter/ipvs/ip_vs_proto_tcp.c, tcp_timeouts: FIN_WAIT 2 min,
 * CLOSE 10 s) and conntrack. Established ones: IPVS gives 15 min, conntrack 5 days, and RFC 5382
 * asks NATs for 2 h 4 min; an hour outlives usual keep-alives of applications. UDP follows
 * conntrack: 30 s, 120 s once a reply was seen (RFC 4787 asks for two minutes).
 */
static const uint32_t timeouts_s[LB_FLOW_STATES] = {
	[LB_FLOW_CLAIMED] = 10,	  [LB_FLOW_SYN] = 30,	      [LB_FLOW_SYNACK] = 30,
	[LB_FLOW_OPEN] = 3600,	  [LB_FLOW_FIN_CLIENT] = 120, [LB_FLOW_FIN_BACKEND] = 120,
	[LB_FLOW_CLOSING] = 10,	  [LB_FLOW_RESET] = 2,	      [LB_FLOW_UDP_NEW] = 30,
	[LB_FLOW_UDP_OPEN] = 120, [LB_FLOW_RESTING] = 60,
};

void meta_timeouts(struct lb_meta *meta, const uint32_t timeout_ms[static LB_FLOW_STATES])
{
	for (int state = 0; state < LB_FLOW_STATES; state++) {
		uint64_t ticks = timeout_ms[state]
					 ? (uint64_t)timeout_ms[state] * meta->second / 1000
					 : (uint64_t)timeouts_s[state] * meta->second;

		__atomic_store_n(&meta->timeout[state], (uint32_t)ticks, __ATOMIC_RELAXED);
	}
}

static void configure(struct lb_meta *meta, const char *build)
{
	meta->ctl_abi = LB_CTL_ABI;
	(void)snprintf(meta->build, sizeof(meta->build), "%.*s", (int)sizeof(meta->build) - 1,
		       build);
}

/* Timeouts stay as the previous daemon wrote them, until this one knows what is wanted. */
void meta_adopt(struct lb_meta *meta, const char *build)
{
	configure(meta, build);
	meta_beat(meta);
}

/* Secret: who knows them can aim at one set of records. */
static void make_keys(struct lb_meta *meta)
{
	uint64_t keys[LB_HASH_KEYS + 1];

	if (getrandom(keys, sizeof(keys), 0) != (ssize_t)sizeof(keys)) {
		for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
			keys[i] = random_u64();
	}
	for (size_t i = 0; i < LB_HASH_KEYS; i++)
		meta->hash_keys[i] = keys[i] | 1;
	meta->hash_seed = keys[LB_HASH_KEYS];
}

static void set_clock(struct lb_meta *meta, const struct meta_clock *clock)
{
	meta->tick_ns = clock->tick_ns;
	meta->second = (uint32_t)((SECOND + clock->tick_ns / 2) / clock->tick_ns);
	meta->swept_ticks = clock->now;
	meta->swept_at = clock_ns();
	meta->hops_changed = clock->now;
}

void meta_create(struct lb_meta *meta, uint32_t max_flows, const struct meta_clock *clock,
		 const char *build)
{
	meta->flow_abi = LB_FLOW_ABI;
	meta->max_flows = max_flows;
	meta->netns = maps_netns();
	make_keys(meta);
	set_clock(meta, clock);
	configure(meta, build);
	meta_timeouts(meta, (const uint32_t[LB_FLOW_STATES]){0});
	meta_beat(meta);
	__atomic_store_n(&meta->magic, LB_META_MAGIC, __ATOMIC_RELEASE);
}

void meta_beat(struct lb_meta *meta)
{
	__atomic_store_n(&meta->heartbeat_at, clock_ns(), __ATOMIC_RELAXED);
}

uint32_t meta_ticks(const struct lb_meta *meta)
{
	uint64_t at = __atomic_load_n(&meta->swept_at, __ATOMIC_RELAXED);
	uint64_t now = clock_ns();

	return __atomic_load_n(&meta->swept_ticks, __ATOMIC_RELAXED) +
	       (now > at && meta->tick_ns ? (uint32_t)((now - at) / meta->tick_ns) : 0);
}

void meta_hops_changed(struct lb_meta *meta)
{
	__atomic_store_n(&meta->hops_changed, meta_ticks(meta), __ATOMIC_RELAXED);
}
