/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What is refused: the RST of each, byte for byte, who gets none, and the limit. */
#include <bpf/bpf.h>
#include <string.h>
#include <time.h>

#include "talk.h"

#define COUNT(rows) (sizeof(rows) / sizeof(*(rows)))

/* ---- Without a flow ------------------------------------------------------------------------ */

struct stray {
	const char *name;
	uint8_t flags;
	uint8_t ip_options;
	uint16_t payload;
	enum lb_verdict verdict;
};

static const struct stray strays[] = {
	{"ACK", ACK, 0, 0, LB_V_NO_FLOW},
	{"data", ACK | PSH, 0, 100, LB_V_NO_FLOW},
	{"odd data", ACK | PSH, 0, 1459, LB_V_NO_FLOW},
	{"FIN and ACK", ACK | FIN, 0, 0, LB_V_NO_FLOW},
	{"FIN without ACK counts one number", FIN, 0, 10, LB_V_NO_FLOW},
	{"data without ACK", PSH, 0, 33, LB_V_NO_FLOW},
	{"no flags", 0, 0, 0, LB_V_NO_FLOW},
	{"SYN-ACK", SYN | ACK, 0, 0, LB_V_NO_FLOW},
	{"all flags but RST", 0xfb, 0, 5, LB_V_NO_FLOW},
	{"ACK with IP options", ACK, 8, 0, LB_V_NO_FLOW},
	{"data with all IP options there can be", ACK, 40, 77, LB_V_NO_FLOW},
	{"RST", RST, 0, 0, LB_V_NO_FLOW},
	{"RST and ACK", RST | ACK, 0, 0, LB_V_NO_FLOW},
	{"RST and SYN", RST | SYN, 0, 0, LB_V_NO_FLOW},
	{"RST with data", RST | ACK, 0, 50, LB_V_NO_FLOW},
	{"SYN and FIN", SYN | FIN, 0, 0, LB_V_BAD_STATE},
};

static struct segment stray_segment(const struct stray *stray)
{
	struct talk talk = talk_of(CLIENT_PORT);
	struct segment segment = talk_segment(&talk, BY_CLIENT, stray->flags, stray->payload);

	segment.ip_options = stray->ip_options;
	return segment;
}

static void expect_untouched_world(void)
{
	expect_no_flow();
	expect_live(1, &(struct counts){0});
}

static void packet_without_a_flow_is_answered_by_rst(void **state)
{
	const struct talk talk = talk_of(CLIENT_PORT);

	(void)state;
	for (size_t i = 0; i < COUNT(strays); i++) {
		struct segment segment = stray_segment(&strays[i]);

		run_row("%s", strays[i].name);
		talk_send(&talk, BY_CLIENT, &segment, strays[i].verdict);
		expect_untouched_world();
	}
}

/* Sends each stray to a service of these flags. <way>: of what the flags decide. */
static void send_strays(uint32_t flags, enum way way)
{
	world_service(1, VIP, VIP_PORT, 1, flags);
	for (size_t i = 0; i < COUNT(strays); i++) {
		struct segment segment = stray_segment(&strays[i]);
		struct frame in;
		struct sent sent;

		run_row("%s", strays[i].name);
		frame_build(&in, &segment);
		run_frame(&in, CLIENT_SIDE, &sent);
		run_expect_verdict(&sent, &in, strays[i].verdict);
		if (strays[i].verdict != LB_V_NO_FLOW)
			continue;
		run_expect_way(&sent, &in, way);
		if (way == WAY_NOTHING)
			run_expect_frame(&sent, &in);
		expect_untouched_world();
	}
}

static void service_may_drop_what_has_no_flow(void **state)
{
	(void)state;
	send_strays(LB_SERVICE_NO_FLOW_DROP, WAY_DROP);
}

static void service_may_pass_what_has_no_flow_untouched(void **state)
{
	(void)state;
	send_strays(LB_SERVICE_NO_FLOW_PASS, WAY_NOTHING);
}

/* Ethernet padding is no data: it moves no number and is not in the answer. */
static void padding_is_not_answered_for(void **state)
{
	struct talk talk = talk_of(CLIENT_PORT);
	struct segment segment = talk_segment(&talk, BY_CLIENT, FIN, 0);
	struct segment rst;
	struct frame in, expected;
	struct sent sent;

	(void)state;
	run_row("54 bytes in 60");
	segment_refuse(&segment, &rst);
	frame_build(&in, &segment);
	frame_build(&expected, &rst);
	memset(in.bytes + in.len, 0xa5, 6);
	in.len = 60;
	run_frame(&in, CLIENT_SIDE, &sent);
	run_expect_verdict(&sent, &in, LB_V_NO_FLOW);
	run_expect_frame(&sent, &expected);
}

/* ---- Nobody to send it to ------------------------------------------------------------------ */

static void syn_that_nobody_can_take_is_answered_by_rst(void **state)
{
	static const struct {
		const char *name;
		uint32_t flags; /* of both backends */
		uint32_t slots; /* of the pool's table */
		uint32_t pool;
		uint16_t payload;
	} rows[] = {
		{"none eligible", LB_BACKEND_USED, 2, 1, 0},
		{"none eligible, data in the SYN", LB_BACKEND_USED, 2, 1, 11},
		{"tombstones", LB_BACKEND_TOMBSTONE, 2, 1, 0},
		{"empty table", ELIGIBLE, 0, 1, 0},
		{"pool that is not there", ELIGIBLE, 2, 9, 0},
		{"pool beyond the map", ELIGIBLE, 2, LB_MAX_POOLS, 0},
	};
	static const enum lb_choice choices[] = {LB_CHOICE_TABLE_NEXT, LB_CHOICE_TABLE_HASH,
						 LB_CHOICE_LEAST, LB_CHOICE_TWO};
	static const uint16_t slots[] = {1, 2};
	struct talk talk = talk_of(CLIENT_PORT);

	(void)state;
	for (size_t i = 0; i < COUNT(rows) * COUNT(choices); i++) {
		size_t r = i / COUNT(choices);
		struct segment segment = talk_segment(&talk, BY_CLIENT, SYN, rows[r].payload);

		run_row("%s, choice %d", rows[r].name, choices[i % COUNT(choices)]);
		world_backends(2);
		world.backends[1].flags = rows[r].flags;
		world.backends[2].flags = rows[r].flags;
		world_pool(1, choices[i % COUNT(choices)], slots, rows[r].slots);
		world_service(1, VIP, VIP_PORT, rows[r].pool, 0);
		talk_send(&talk, BY_CLIENT, &segment, LB_V_NO_BACKEND);
		expect_untouched_world();
		expect_live(2, &(struct counts){0});
	}
}

/* ---- Killed -------------------------------------------------------------------------------- */

static struct talk opened(void **state, const char *name)
{
	struct talk talk = talk_of(CLIENT_PORT);

	world_reset(state);
	run_row("%s", name);
	talk_open(&talk);
	return talk;
}

static void killed_flow_is_uncounted_once_and_both_sides_are_told(void **state)
{
	static const struct {
		const char *name;
		enum speaker first;
		bool by_sweep; /* the sweep sees the backend's flag before a packet does */
	} rows[] = {
		{"client first", BY_CLIENT, false},
		{"backend first", BY_BACKEND, false},
		{"sweep first", BY_CLIENT, true},
	};
	const struct counts counts = {1, 1, 1, 1, 0};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct talk talk = opened(state, rows[i].name);

		world.backends[1].flags |= LB_BACKEND_KILL;
		if (rows[i].by_sweep) {
			world_sweep();
			expect_live(1, &counts);
		}
		for (int k = 0; k < 4; k++) {
			enum speaker by = (rows[i].first + k) % 2 ? BY_BACKEND : BY_CLIENT;

			talk_say(&talk, by, ACK | PSH, 20, LB_V_FLOW_KILLED);
			expect_live(1, &counts);
		}
		talk_say(&talk, BY_CLIENT, RST, 0, LB_V_FLOW_KILLED);
		world_sweep();
		expect_live(1, &counts);
		if (!(talk_flow(&talk)->word & LB_FLOW_KILLED))
			run_fail("the record is not marked");
	}
}

static void flow_stays_killed_when_its_backend_comes_back(void **state)
{
	struct talk talk = opened(state, "flag set, then taken back");

	world.backends[1].flags |= LB_BACKEND_KILL;
	talk_say(&talk, BY_BACKEND, ACK, 5, LB_V_FLOW_KILLED);
	world.backends[1].flags = ELIGIBLE;
	talk_say(&talk, BY_CLIENT, ACK, 5, LB_V_FLOW_KILLED);
	talk_say(&talk, BY_BACKEND, ACK | FIN, 0, LB_V_FLOW_KILLED);
	expect_live(1, &(struct counts){1, 1, 1, 1, 0});
}

/* What lbd writes into the record for one flow: the bit, and the count is its own to move. */
static void flow_killed_by_itself_leaves_others_alone(void **state)
{
	struct talk talk = opened(state, "one of two");
	struct talk other = talk_of(CLIENT_PORT + 1);
	struct lb_flow *flow;

	talk_open(&other);
	flow = talk_flow(&talk);
	flow->word = (flow->word & ~LB_FLOW_COUNTED) | LB_FLOW_KILLED;
	talk_say(&talk, BY_CLIENT, ACK, 5, LB_V_FLOW_KILLED);
	talk_say(&talk, BY_BACKEND, ACK, 5, LB_V_FLOW_KILLED);
	talk_say(&other, BY_CLIENT, ACK, 5, LB_V_FORWARDED);
	talk_say(&other, BY_BACKEND, ACK, 5, LB_V_REPLIED);
	expect_live(1, &(struct counts){2, 0, 2, 2, 0});
}

static void half_open_flow_that_is_killed_is_not_pending_any_more(void **state)
{
	struct talk talk = talk_of(CLIENT_PORT);

	(void)state;
	run_row("SYN, kill, SYN-ACK");
	talk_say(&talk, BY_CLIENT, SYN, 0, LB_V_FORWARDED_NEW);
	world.backends[1].flags |= LB_BACKEND_KILL;
	talk_say(&talk, BY_BACKEND, SYN | ACK, 0, LB_V_FLOW_KILLED);
	expect_live(1, &(struct counts){0, 0, 1, 1, 0});
}

static void killed_flow_gives_way_to_a_new_syn(void **state)
{
	static const uint16_t both[] = {1, 2};
	struct talk talk = opened(state, "SYN from the same port");

	world.backends[1].flags = LB_BACKEND_USED | LB_BACKEND_KILL;
	world_backend(2, BACKEND_ADDR(2), BACKEND_PORT, 1, ELIGIBLE);
	world_pool(1, LB_CHOICE_TABLE_NEXT, both, 2);
	talk_say(&talk, BY_CLIENT, ACK, 5, LB_V_FLOW_KILLED);
	talk.backend = BACKEND_ADDR(2);
	talk_open(&talk);
	expect_live(1, &(struct counts){1, 1, 1, 1, 0});
	expect_live(2, &(struct counts){1, 0, 1, 1, 0});
	expect_equal(world.meta->live_flows, 1);
}

static void killed_flow_is_kept_as_long_as_a_half_closed_one(void **state)
{
	struct talk talk = opened(state, "timeout of half closed flows is 5 s");

	world_timeout(LB_FLOW_FIN_CLIENT, 5000000000ULL);
	world.backends[1].flags |= LB_BACKEND_KILL;
	talk_say(&talk, BY_CLIENT, ACK, 5, LB_V_FLOW_KILLED);
	world_age(4000000000ULL);
	world_sweep();
	talk_expect_state(&talk, LB_FLOW_OPEN);
	world_age(2000000000ULL);
	world_sweep();
	expect_no_flow();
	expect_live(1, &(struct counts){1, 1, 1, 1, 0});
}

/* ---- The limit ----------------------------------------------------------------------------- */

/* The answers of this burst; the rest of a second's worth is one, for the rate here is 1. */
static void answers_beyond_the_burst_are_dropped(void **state)
{
	const struct talk talk = talk_of(CLIENT_PORT);
	const struct segment segment = talk_segment(&talk, BY_CLIENT, ACK, 0);
	struct lb_count before, after, limited_before, limited;
	struct timespec begin, end;
	struct frame in;
	uint64_t answers;
	uint64_t seconds;

	(void)state;
	run_row("%d ACKs", REPLY_BURST + 200);
	frame_build(&in, &segment);
	world_count(LB_V_NO_FLOW, &before);
	world_count(LB_V_RATE_LIMITED, &limited_before);
	clock_gettime(CLOCK_MONOTONIC_COARSE, &begin);
	for (int i = 0; i < REPLY_BURST + 200; i++)
		expect_equal(run_bare(world.hook, &in, place_ifindex(CLIENT_SIDE)), 0);
	clock_gettime(CLOCK_MONOTONIC_COARSE, &end);
	world_count(LB_V_NO_FLOW, &after);
	world_count(LB_V_RATE_LIMITED, &limited);
	answers = after.packets - before.packets;
	seconds = (uint64_t)(end.tv_sec - begin.tv_sec);
	expect_equal(answers + limited.packets - limited_before.packets, REPLY_BURST + 200);
	if (seconds == 0 && answers != REPLY_BURST)
		run_fail("expected %d answers, got %lu", REPLY_BURST, answers);
}

static void empty_bucket_drops_each_kind_of_answer_and_fills_in_time(void **state)
{
	struct talk talk = opened(state, "a flow, then all answers used up");
	struct talk stray = talk_of(CLIENT_PORT + 1);
	struct segment ack = talk_segment(&stray, BY_CLIENT, ACK, 0);
	struct frame in;

	world.backends[1].flags = LB_BACKEND_USED;
	frame_build(&in, &ack);
	for (int i = 0; i < REPLY_BURST; i++)
		expect_equal(run_bare(world.hook, &in, place_ifindex(CLIENT_SIDE)), 0);
	run_row("bucket empty");
	talk_send(&stray, BY_CLIENT, &ack, LB_V_RATE_LIMITED);
	talk_say(&stray, BY_CLIENT, SYN, 0, LB_V_RATE_LIMITED);
	talk_say(&talk, BY_CLIENT, ACK, 5, LB_V_FORWARDED);
	world.backends[1].flags |= LB_BACKEND_KILL;
	talk_say(&talk, BY_CLIENT, ACK, 5, LB_V_RATE_LIMITED);
	talk_say(&talk, BY_CLIENT, RST, 0, LB_V_FLOW_KILLED);
	expect_live(1, &(struct counts){1, 1, 1, 1, 0});
	run_row("bucket filled again");
	world_fill_bucket();
	talk_send(&stray, BY_CLIENT, &ack, LB_V_NO_FLOW);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(packet_without_a_flow_is_answered_by_rst),
		TEST(service_may_drop_what_has_no_flow),
		TEST(service_may_pass_what_has_no_flow_untouched),
		TEST(padding_is_not_answered_for),
		TEST(syn_that_nobody_can_take_is_answered_by_rst),
		TEST(killed_flow_is_uncounted_once_and_both_sides_are_told),
		TEST(flow_stays_killed_when_its_backend_comes_back),
		TEST(flow_killed_by_itself_leaves_others_alone),
		TEST(half_open_flow_that_is_killed_is_not_pending_any_more),
		TEST(killed_flow_gives_way_to_a_new_syn),
		TEST(killed_flow_is_kept_as_long_as_a_half_closed_one),
		TEST(answers_beyond_the_burst_are_dropped),
		TEST(empty_bucket_drops_each_kind_of_answer_and_fills_in_time),
	};

	(void)argc;
	return RUN_TESTS(tests, argv);
}
