/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Next hops: kept for a second, asked again when they may have changed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "talk.h"

#define COUNT(rows) (sizeof(rows) / sizeof(*(rows)))
#define NS_PER_S    1000000000LL
/* A kept hop is good for a second: a test that took longer than this knows nothing of it. */
#define IN_TIME_NS 500000000LL
#define ATTEMPTS   20

static const uint8_t marked[6] = {2, 9, 9, 9, 9, 9};

static int64_t now_ns(void)
{
	struct timespec now;

	/* The programs' clock: its ticks are milliseconds apart. */
	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

/* Marks both hops that are kept: what leaves shows whether it was asked or taken from there. */
static struct talk open_and_mark(void)
{
	struct talk talk = talk_of(CLIENT_PORT);

	talk_open(&talk);
	memcpy(world.backends[1].hop.dmac, marked, sizeof(marked));
	memcpy(world.ways[talk_flow(&talk)->way].dmac, marked, sizeof(marked));
	return talk;
}

static bool sent_to_mark(const struct talk *talk, enum speaker speaker)
{
	struct segment segment = talk_segment(talk, speaker, ACK, 1);
	struct frame in;
	struct sent sent;

	frame_build(&in, &segment);
	run_frame(&in, (enum side)speaker, &sent);
	run_expect_verdict(&sent, &in, speaker == BY_CLIENT ? LB_V_FORWARDED : LB_V_REPLIED);
	return memcmp(sent.out.bytes, marked, sizeof(marked)) == 0;
}

static void hop_is_asked_once_a_second(void **state)
{
	int64_t took = NS_PER_S;
	bool kept = false;

	run_row("twice at once");
	for (int i = 0; i < ATTEMPTS && took > IN_TIME_NS; i++) {
		int64_t start = now_ns();
		struct talk talk;

		world_reset(state);
		talk = open_and_mark();
		kept = sent_to_mark(&talk, BY_CLIENT) && sent_to_mark(&talk, BY_BACKEND);
		took = now_ns() - start;
	}
	if (took > IN_TIME_NS)
		run_fail("this machine was too slow %d times", ATTEMPTS);
	if (!kept)
		run_fail("a hop that was good was asked again");
}

enum reason { OLD, ROUTES_CHANGED, BEING_WRITTEN, NOT_KNOWN };

static void make_doubtful(struct lb_flow *flow, enum reason reason)
{
	if (reason == OLD) {
		world.backends[1].hop.asked_at -= world.second;
		flow->way_asked -= world.second;
	} else if (reason == ROUTES_CHANGED) {
		world.meta->hops_changed = flow->seen; /* the kernel's own clock */
	} else if (reason == BEING_WRITTEN) {
		world.backends[1].hop.sequence |= 1;
		world.ways[flow->way].sequence |= 1;
	} else {
		world.backends[1].hop.ifindex = 0;
		flow->way = 0;
	}
}

static void doubtful_hop_is_asked_again_in_both_directions(void **state)
{
	static const struct {
		const char *name;
		enum reason reason;
	} rows[] = {
		{"a second old", OLD},
		{"older than the last change of routes", ROUTES_CHANGED},
		{"written by another CPU at this moment", BEING_WRITTEN},
		{"not known", NOT_KNOWN},
	};

	for (size_t i = 0; i < 2 * COUNT(rows); i++) {
		enum speaker first = i % 2 ? BY_BACKEND : BY_CLIENT;
		struct talk talk;

		world_reset(state);
		run_row("%s, first the %s", rows[i / 2].name, i % 2 ? "backend" : "client");
		talk = open_and_mark();
		make_doubtful(talk_flow(&talk), rows[i / 2].reason);
		if (sent_to_mark(&talk, first))
			run_fail("the kept hop was used");
		if (sent_to_mark(&talk, first == BY_CLIENT ? BY_BACKEND : BY_CLIENT))
			run_fail("the kept hop of the other direction was used");
		talk_say(&talk, BY_CLIENT, ACK, 9, LB_V_FORWARDED);
		talk_say(&talk, BY_BACKEND, ACK, 9, LB_V_REPLIED);
	}
}

/* What the stack does with the packet it was given: the neighbour answers. */
static void neighbour_that_becomes_known_is_used_at_once(void **state)
{
	struct talk talk = talk_of(CLIENT_PORT);
	struct segment segment;
	struct frame in;
	struct sent sent;
	char line[128];

	(void)state;
	run_row("unresolved, then permanent");
	world_backend(1, BACKEND_UNRESOLVED, BACKEND_PORT, 1, ELIGIBLE);
	talk.backend = BACKEND_UNRESOLVED;
	talk_say(&talk, BY_CLIENT, SYN, 0, LB_V_TO_STACK);
	(void)snprintf(line, sizeof(line),
		       "ip neigh add 10.2.0.200 lladdr 02:09:09:09:09:09 dev b0 nud permanent");
	expect_equal(system(line), 0);
	segment = talk_segment(&talk, BY_CLIENT, SYN, 0);
	segment.seq--;
	frame_build(&in, &segment);
	run_frame(&in, CLIENT_SIDE, &sent);
	expect_equal(system("ip neigh del 10.2.0.200 dev b0"), 0);
	run_expect_verdict(&sent, &in, LB_V_FORWARDED);
	run_expect_way(&sent, &in, WAY_OTHER);
	expect_equal(memcmp(sent.out.bytes, marked, sizeof(marked)), 0);
}

static void expect_hop(const struct lb_hop *kept, uint32_t to, uint16_t mtu)
{
	struct hop hop;

	place_hop(to, &hop);
	expect_equal(kept->ifindex, hop.ifindex);
	expect_equal(kept->mtu, mtu);
	expect_equal(memcmp(kept->dmac, hop.dmac, 6), 0);
	expect_equal(memcmp(kept->smac, hop.smac, 6), 0);
}

static void where_both_directions_go_is_kept(void **state)
{
	struct talk talk = talk_of(CLIENT_PORT);

	(void)state;
	run_row("a narrow route out, the device's MTU back");
	world_backend(1, NET_NARROW + 1, BACKEND_PORT, 1, ELIGIBLE);
	talk.backend = NET_NARROW + 1;
	talk_open(&talk);
	expect_hop(&world.backends[1].hop, NET_NARROW + 1, NARROW_MTU);
	expect_hop(&world.ways[talk_flow(&talk)->way], CLIENT, 1500);
}

/* A row of gateways that a record may still believe keeps what it says. */
static void row_of_a_gateway_is_given_away_when_nobody_believes_it(void **state)
{
	static const struct {
		const char *name;
		int32_t seconds; /* since the other gateway was asked for */
		bool given;
	} rows[] = {
		{"asked for now", 0, false},
		{"asked for a second ago", 1, false},
		{"asked for by a CPU whose clock is ahead", -1, false},
		{"asked for three seconds ago", 3, true},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct talk talk = talk_of(CLIENT_PORT);
		struct lb_flow *flow;
		uint16_t row;

		world_reset(state);
		run_row("%s", rows[i].name);
		talk_open(&talk);
		flow = talk_flow(&talk);
		row = flow->way;
		memcpy(world.ways[row].dmac, marked, sizeof(marked));
		world.ways[row].asked_at = flow->seen - (uint32_t)rows[i].seconds * world.second;
		flow->way = 0;
		talk_say(&talk, BY_BACKEND, ACK, 9, LB_V_REPLIED);
		expect_equal(flow->way == row, rows[i].given);
		expect_equal(memcmp(world.ways[row].dmac, marked, sizeof(marked)) != 0,
			     rows[i].given);
		expect_hop(&world.ways[flow->way], CLIENT, 1500);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(hop_is_asked_once_a_second),
		TEST(doubtful_hop_is_asked_again_in_both_directions),
		TEST(neighbour_that_becomes_known_is_used_at_once),
		TEST(where_both_directions_go_is_kept),
		TEST(row_of_a_gateway_is_given_away_when_nobody_believes_it),
	};

	(void)argc;
	return RUN_TESTS(tests, argv);
}
