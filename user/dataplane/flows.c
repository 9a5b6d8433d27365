/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <string.h>

#include "dataplane/meta.h"
#include "dataplane/state.h"

/* BPF writes while we read: a record that changes hands three times in a row is left out. */
#define ATTEMPTS 3

static bool in_use(uint64_t word)
{
	return LB_FLOW_STATE(word) > LB_FLOW_CLAIMED && LB_FLOW_STATE(word) < LB_FLOW_STATES;
}

/*
 * Acquiring loads keep their order, so the word that is read after these is at least as new as they
 * are. (A fence after a memcpy would do too, but the thread sanitizer knows none.)
 */
static void copy_words(const struct lb_flow *flow, struct lb_flow *ret_copy)
{
	const uint64_t *from = (const uint64_t *)flow;
	uint64_t words[sizeof(*flow) / sizeof(uint64_t)];

	_Static_assert(sizeof(*flow) % sizeof(uint64_t) == 0, "a record is whole words");
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		words[i] = __atomic_load_n(&from[i], __ATOMIC_ACQUIRE);
	memcpy(ret_copy, words, sizeof(*ret_copy));
}

static bool copy(const struct lb_flow *flow, struct lb_flow *ret_copy)
{
	for (int i = 0; i < ATTEMPTS; i++) {
		uint64_t before = __atomic_load_n(&flow->word, __ATOMIC_ACQUIRE);
		uint64_t after;

		if (!in_use(before))
			return false;
		copy_words(flow, ret_copy);
		after = __atomic_load_n(&flow->word, __ATOMIC_RELAXED);
		ret_copy->word = after;
		if (in_use(after) && LB_FLOW_GENERATION(before) == LB_FLOW_GENERATION(after))
			return true;
	}
	return false;
}

void dataplane_flow_ends(struct dataplane *dp, const struct lb_flow *flow, struct addr *ret_vip,
			 struct addr *ret_backend)
{
	const struct lb_backend *backend = &dp->maps.backends[flow->backend];

	*ret_vip = (struct addr){.port = flow->vip_port};
	if (flow->vip < LB_MAX_VIPS)
		memcpy(ret_vip->ip, dp->maps.vips[flow->vip].b, sizeof(ret_vip->ip));
	*ret_backend = (struct addr){.port = backend->port ? backend->port : flow->vip_port};
	memcpy(ret_backend->ip, backend->addr.b, sizeof(ret_backend->ip));
}

uint64_t dataplane_idle_ms(struct dataplane *dp, const struct lb_flow *flow)
{
	int32_t ticks = (int32_t)(meta_ticks(dp->maps.meta) - flow->seen);

	return ticks > 0 ? (uint64_t)ticks * dp->maps.meta->tick_ns / 1000000 : 0;
}

int dataplane_kill_flow(struct dataplane *dp, uint32_t record, const struct lb_flow *flow)
{
	dp->maps.kills[dp->maps.n_kills++] = LB_KILL(LB_FLOW_GENERATION(flow->word), record);
	return dp->maps.n_kills == LB_KILLS ? dataplane_kill_finish(dp) : 0;
}

int dataplane_kill_finish(struct dataplane *dp)
{
	uint32_t count = dp->maps.n_kills;

	dp->maps.n_kills = 0;
	return count ? programs_flows_kill(&dp->programs, count) : 0;
}

void dataplane_each_flow(struct dataplane *dp, uint32_t first,
			 bool (*each)(void *ctx, uint32_t record, const struct lb_flow *flow),
			 void *ctx)
{
	uint32_t top = LB_RECORDS(dp->maps.max_flows);
	struct lb_flow flow;

	for (uint32_t record = first; record < top; record++) {
		if (copy(&dp->maps.flows[record], &flow) && !each(ctx, record, &flow))
			return;
	}
}
