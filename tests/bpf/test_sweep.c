/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The sweep: which records it looks at, and the timer that goes on without the daemon. */
#include <sched.h>
#include <string.h>
#include <time.h>

#include "load.h"
#include "talk.h"

#define FLOWS	   5000 /* more than two ticks look at */
#define FIRST_PORT 1024
#define PATIENCE_S 20

static void open_all(void)
{
	for (uint16_t i = 0; i < FLOWS; i++) {
		const struct talk talk = talk_of(FIRST_PORT + i);
		const struct segment segment = talk_segment(&talk, BY_CLIENT, SYN, 0);
		struct frame frame;

		frame_build(&frame, &segment);
		expect_equal(run_bare(world.hook, &frame, place_ifindex(CLIENT_SIDE)), 0);
	}
	expect_equal(world.meta->live_flows, FLOWS);
}

/* The record of every third flow becomes old. */
static void age_some(void)
{
	uint32_t flows = 0;

	for (uint32_t i = 0; i < world.n_records; i++) {
		if (world.flows[i].word && flows++ % 3 == 0)
			world.flows[i].seen -= world_ticks(100000000000ULL);
	}
}

static void one_run_looks_at_every_record_once(void **state)
{
	const uint32_t starts[] = {
		0, 1, 2500, world.n_records - 1, world.n_records, world.n_records + 1, 0xffffffff};

	for (size_t i = 0; i < sizeof(starts) / sizeof(*starts); i++) {
		uint64_t before;

		world_reset(state);
		run_row("from record %u on", starts[i]);
		open_all();
		world_timeout(LB_FLOW_SYN, 50000000000ULL);
		world.meta->sweep_next = starts[i];
		before = world.meta->swept_at;
		age_some();
		world_sweep();
		expect_equal(world.meta->live_flows, FLOWS - (FLOWS + 2) / 3);
		expect_live(1, &(struct counts){0, 0, FLOWS, (FLOWS + 2) / 3, (FLOWS + 2) / 3});
		if (world.meta->swept_at <= before)
			run_fail("the time of the sweep was not noted");
	}
}

static void sweep_of_an_unused_table_does_nothing(void **state)
{
	(void)state;
	run_row("no record was ever used");
	world_timeouts(1);
	world_sweep();
	expect_no_flow();
}

/* The last test: nothing stops the timer but the end of its map. */
static void armed_timer_ends_flows_by_itself(void **state)
{
	struct timespec now;
	time_t begin;

	(void)state;
	run_row("armed twice, as after an upgrade");
	open_all();
	world_timeout(LB_FLOW_SYN, 50000000000ULL);
	age_some();
	world_arm();
	world_arm();
	clock_gettime(CLOCK_MONOTONIC, &now);
	begin = now.tv_sec;
	/* A SYN that failed is counted last of all. */
	while (__atomic_load_n(&world.live[1].failed, __ATOMIC_SEQ_CST) < (FLOWS + 2) / 3) {
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (now.tv_sec - begin > PATIENCE_S)
			run_fail("%d s later there are %llu flows", PATIENCE_S,
				 world.meta->live_flows);
		sched_yield();
	}
	expect_live(1, &(struct counts){0, 0, FLOWS, (FLOWS + 2) / 3, (FLOWS + 2) / 3});
	expect_equal(world.meta->live_flows, FLOWS - (FLOWS + 2) / 3);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(one_run_looks_at_every_record_once),
		TEST(sweep_of_an_unused_table_does_nothing),
		TEST_ON(armed_timer_ends_flows_by_itself, xdp),
	};

	(void)argc;
	world_flows = 4 * FLOWS; /* as many may be half-open */
	return RUN_TESTS(tests, argv);
}
