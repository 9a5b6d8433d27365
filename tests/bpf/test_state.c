/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The state table of a flow: each row of it, what counts, and what does not move it. */
#include <arpa/inet.h>
#include <string.h>

#include "talk.h"

#define COUNT(rows) (sizeof(rows) / sizeof(*(rows)))
#define NS_PER_S    1000000000ULL

static const char *const state_names[] = {"free",	"claimed",     "syn",	  "synack", "open",
					  "fin_client", "fin_backend", "closing", "reset"};

/* What the backend's live row holds once one flow came to this state by the shortest way. */
static const struct counts counts_in[LB_FLOW_STATES] = {
	[LB_FLOW_SYN] = {0, 0, 1, 0, 0},	 [LB_FLOW_SYNACK] = {0, 0, 1, 0, 0},
	[LB_FLOW_OPEN] = {1, 0, 1, 1, 0},	 [LB_FLOW_FIN_CLIENT] = {1, 0, 1, 1, 0},
	[LB_FLOW_FIN_BACKEND] = {1, 0, 1, 1, 0}, [LB_FLOW_CLOSING] = {1, 1, 1, 1, 0},
	[LB_FLOW_RESET] = {1, 1, 1, 1, 0},
};

static void open_to(struct talk *talk, enum lb_flow_state state)
{
	talk_say(talk, BY_CLIENT, SYN, 0, LB_V_FORWARDED_NEW);
	if (state >= LB_FLOW_SYNACK)
		talk_say(talk, BY_BACKEND, SYN | ACK, 0, LB_V_REPLIED);
	if (state >= LB_FLOW_OPEN)
		talk_say(talk, BY_CLIENT, ACK, 0, LB_V_FORWARDED);
}

static void bring_to(struct talk *talk, enum lb_flow_state state)
{
	open_to(talk, state);
	if (state == LB_FLOW_FIN_CLIENT || state == LB_FLOW_CLOSING)
		talk_say(talk, BY_CLIENT, FIN | ACK, 0, LB_V_FORWARDED);
	if (state == LB_FLOW_FIN_BACKEND || state == LB_FLOW_CLOSING)
		talk_say(talk, BY_BACKEND, FIN | ACK, 0, LB_V_REPLIED);
	if (state == LB_FLOW_RESET)
		talk_say(talk, BY_BACKEND, RST, 0, LB_V_REPLIED);
	talk_expect_state(talk, state);
	expect_live(1, &counts_in[state]);
}

/* ---- The table ----------------------------------------------------------------------------- */

struct step {
	const char *name;
	enum lb_flow_state from;
	enum speaker speaker;
	uint8_t flags;
	uint16_t payload;
	int32_t seq_off; /* from the number that comes next */
	int32_t ack_off;
	enum lb_flow_state to;
	struct counts counts;
};

#define SYN_COUNTS \
	{ \
		0, 0, 1, 0, 0 \
	}
#define OPEN_COUNTS \
	{ \
		1, 0, 1, 1, 0 \
	}
#define CLOSED_COUNTS \
	{ \
		1, 1, 1, 1, 0 \
	}

/* clang-format off */
static const struct step steps[] = {
	{"SYN-ACK that fits", LB_FLOW_SYN, BY_BACKEND, SYN | ACK, 0, 0, 0, LB_FLOW_SYNACK, SYN_COUNTS},
	{"SYN-ACK of data in the SYN", LB_FLOW_SYN, BY_BACKEND, SYN | ACK, 0, 0, 1400, LB_FLOW_SYNACK, SYN_COUNTS},
	{"SYN-ACK of another SYN", LB_FLOW_SYN, BY_BACKEND, SYN | ACK, 0, 0, -1, LB_FLOW_SYN, SYN_COUNTS},
	{"SYN-ACK of a far one", LB_FLOW_SYN, BY_BACKEND, SYN | ACK, 0, 0, 0x10000, LB_FLOW_SYN, SYN_COUNTS},
	{"SYN without ACK by the backend", LB_FLOW_SYN, BY_BACKEND, SYN, 0, 0, 0, LB_FLOW_SYN, SYN_COUNTS},
	{"ACK of the backend to a SYN", LB_FLOW_SYN, BY_BACKEND, ACK, 0, 0, 0, LB_FLOW_SYN, SYN_COUNTS},
	{"refusal", LB_FLOW_SYN, BY_BACKEND, RST | ACK, 0, 0, 0, LB_FLOW_RESET, {0, 0, 1, 1, 1}},
	{"refusal of another SYN", LB_FLOW_SYN, BY_BACKEND, RST | ACK, 0, 0, 1, LB_FLOW_SYN, SYN_COUNTS},
	{"refusal without ACK", LB_FLOW_SYN, BY_BACKEND, RST, 0, 0, 0, LB_FLOW_SYN, SYN_COUNTS},
	{"ACK of the client before the SYN-ACK", LB_FLOW_SYN, BY_CLIENT, ACK, 0, 0, 0, LB_FLOW_SYN, SYN_COUNTS},
	{"FIN of the client before the SYN-ACK", LB_FLOW_SYN, BY_CLIENT, FIN | ACK, 0, 0, 0, LB_FLOW_SYN, SYN_COUNTS},

	{"ACK that fits", LB_FLOW_SYNACK, BY_CLIENT, ACK, 0, 0, 0, LB_FLOW_OPEN, OPEN_COUNTS},
	{"ACK with data", LB_FLOW_SYNACK, BY_CLIENT, ACK | PSH, 500, 0, 0, LB_FLOW_OPEN, OPEN_COUNTS},
	{"ACK of something else", LB_FLOW_SYNACK, BY_CLIENT, ACK, 0, 0, 1, LB_FLOW_SYNACK, SYN_COUNTS},
	{"ACK of the number before", LB_FLOW_SYNACK, BY_CLIENT, ACK, 0, 0, -1, LB_FLOW_SYNACK, SYN_COUNTS},
	{"data without ACK", LB_FLOW_SYNACK, BY_CLIENT, PSH, 10, 0, 0, LB_FLOW_SYNACK, SYN_COUNTS},
	{"ACK far off the window", LB_FLOW_SYNACK, BY_CLIENT, ACK, 0, 1 << 25, 0, LB_FLOW_SYNACK, SYN_COUNTS},
	{"ACK and FIN at once", LB_FLOW_SYNACK, BY_CLIENT, ACK | FIN, 0, 0, 0, LB_FLOW_FIN_CLIENT, OPEN_COUNTS},
	{"data of the backend (fast open)", LB_FLOW_SYNACK, BY_BACKEND, ACK | PSH, 9, 0, 0, LB_FLOW_OPEN, OPEN_COUNTS},
	{"ACK of the backend without data", LB_FLOW_SYNACK, BY_BACKEND, ACK, 0, 0, 0, LB_FLOW_SYNACK, SYN_COUNTS},
	{"SYN-ACK again", LB_FLOW_SYNACK, BY_BACKEND, SYN | ACK, 0, -1, 0, LB_FLOW_SYNACK, SYN_COUNTS},
	{"RST of the client", LB_FLOW_SYNACK, BY_CLIENT, RST, 0, 0, 0, LB_FLOW_RESET, {0, 0, 1, 1, 0}},
	{"RST of the backend", LB_FLOW_SYNACK, BY_BACKEND, RST, 0, 0, 0, LB_FLOW_RESET, {0, 0, 1, 1, 0}},

	{"data of the client", LB_FLOW_OPEN, BY_CLIENT, ACK, 100, 0, 0, LB_FLOW_OPEN, OPEN_COUNTS},
	{"data of the backend", LB_FLOW_OPEN, BY_BACKEND, ACK, 100, 0, 0, LB_FLOW_OPEN, OPEN_COUNTS},
	{"FIN of the client", LB_FLOW_OPEN, BY_CLIENT, FIN | ACK, 0, 0, 0, LB_FLOW_FIN_CLIENT, OPEN_COUNTS},
	{"FIN of the client with data", LB_FLOW_OPEN, BY_CLIENT, FIN | ACK, 9, 0, 0, LB_FLOW_FIN_CLIENT, OPEN_COUNTS},
	{"FIN of the client, far off", LB_FLOW_OPEN, BY_CLIENT, FIN | ACK, 0, 1 << 25, 0, LB_FLOW_OPEN, OPEN_COUNTS},
	{"FIN of the backend", LB_FLOW_OPEN, BY_BACKEND, FIN | ACK, 0, 0, 0, LB_FLOW_FIN_BACKEND, OPEN_COUNTS},
	{"SYN-ACK after the handshake", LB_FLOW_OPEN, BY_BACKEND, SYN | ACK, 0, -1, 0, LB_FLOW_OPEN, OPEN_COUNTS},
	{"RST of the client", LB_FLOW_OPEN, BY_CLIENT, RST, 0, 0, 0, LB_FLOW_RESET, CLOSED_COUNTS},
	{"RST of the client, one off", LB_FLOW_OPEN, BY_CLIENT, RST, 0, 1, 0, LB_FLOW_OPEN, OPEN_COUNTS},
	{"RST of the client, one before", LB_FLOW_OPEN, BY_CLIENT, RST | ACK, 0, -1, 0, LB_FLOW_OPEN, OPEN_COUNTS},
	{"RST of the client, in the window", LB_FLOW_OPEN, BY_CLIENT, RST, 0, 1000, 0, LB_FLOW_OPEN, OPEN_COUNTS},
	{"RST and SYN of the client, one off", LB_FLOW_OPEN, BY_CLIENT, RST | SYN, 0, 1, 0, LB_FLOW_OPEN, OPEN_COUNTS},
	{"RST of the backend", LB_FLOW_OPEN, BY_BACKEND, RST | ACK, 0, 0, 0, LB_FLOW_RESET, CLOSED_COUNTS},
	{"RST of the backend, one off", LB_FLOW_OPEN, BY_BACKEND, RST | ACK, 0, 1, 0, LB_FLOW_OPEN, OPEN_COUNTS},
	{"RST of the backend, acks the SYN", LB_FLOW_OPEN, BY_BACKEND, RST | ACK, 0, 77, 0, LB_FLOW_OPEN, OPEN_COUNTS},
	{"no flag at all", LB_FLOW_OPEN, BY_CLIENT, 0, 10, 0, 0, LB_FLOW_OPEN, OPEN_COUNTS},

	{"FIN again", LB_FLOW_FIN_CLIENT, BY_CLIENT, FIN | ACK, 0, -1, 0, LB_FLOW_FIN_CLIENT, OPEN_COUNTS},
	{"data of the backend", LB_FLOW_FIN_CLIENT, BY_BACKEND, ACK, 99, 0, 0, LB_FLOW_FIN_CLIENT, OPEN_COUNTS},
	{"FIN of the backend", LB_FLOW_FIN_CLIENT, BY_BACKEND, FIN | ACK, 0, 0, 0, LB_FLOW_CLOSING, CLOSED_COUNTS},
	{"RST of the client", LB_FLOW_FIN_CLIENT, BY_CLIENT, RST, 0, 0, 0, LB_FLOW_RESET, CLOSED_COUNTS},
	{"RST of the client, one off", LB_FLOW_FIN_CLIENT, BY_CLIENT, RST, 0, -1, 0, LB_FLOW_FIN_CLIENT, OPEN_COUNTS},
	{"RST of the backend", LB_FLOW_FIN_CLIENT, BY_BACKEND, RST, 0, 0, 0, LB_FLOW_RESET, CLOSED_COUNTS},

	{"FIN again", LB_FLOW_FIN_BACKEND, BY_BACKEND, FIN | ACK, 0, -1, 0, LB_FLOW_FIN_BACKEND, OPEN_COUNTS},
	{"data of the client", LB_FLOW_FIN_BACKEND, BY_CLIENT, ACK, 99, 0, 0, LB_FLOW_FIN_BACKEND, OPEN_COUNTS},
	{"FIN of the client", LB_FLOW_FIN_BACKEND, BY_CLIENT, FIN | ACK, 0, 0, 0, LB_FLOW_CLOSING, CLOSED_COUNTS},
	{"FIN of the client, far off", LB_FLOW_FIN_BACKEND, BY_CLIENT, FIN | ACK, 0, -(1 << 25), 0, LB_FLOW_FIN_BACKEND, OPEN_COUNTS},
	{"RST of the backend", LB_FLOW_FIN_BACKEND, BY_BACKEND, RST, 0, 0, 0, LB_FLOW_RESET, CLOSED_COUNTS},
	{"RST of the client", LB_FLOW_FIN_BACKEND, BY_CLIENT, RST | ACK, 0, 0, 0, LB_FLOW_RESET, CLOSED_COUNTS},

	{"last ACK of the client", LB_FLOW_CLOSING, BY_CLIENT, ACK, 0, 0, 0, LB_FLOW_CLOSING, CLOSED_COUNTS},
	{"last ACK of the backend", LB_FLOW_CLOSING, BY_BACKEND, ACK, 0, 0, 0, LB_FLOW_CLOSING, CLOSED_COUNTS},
	{"FIN of the backend again", LB_FLOW_CLOSING, BY_BACKEND, FIN | ACK, 0, -1, 0, LB_FLOW_CLOSING, CLOSED_COUNTS},
	{"SYN-ACK of the backend", LB_FLOW_CLOSING, BY_BACKEND, SYN | ACK, 0, 0, 0, LB_FLOW_CLOSING, CLOSED_COUNTS},
	{"RST of the backend", LB_FLOW_CLOSING, BY_BACKEND, RST, 0, 0, 0, LB_FLOW_RESET, CLOSED_COUNTS},
	{"RST of the client", LB_FLOW_CLOSING, BY_CLIENT, RST, 0, 0, 0, LB_FLOW_RESET, CLOSED_COUNTS},

	{"RST of the other side too", LB_FLOW_RESET, BY_CLIENT, RST, 0, 0, 0, LB_FLOW_RESET, CLOSED_COUNTS},
	{"data after a RST", LB_FLOW_RESET, BY_CLIENT, ACK, 10, 0, 0, LB_FLOW_RESET, CLOSED_COUNTS},
	{"FIN after a RST", LB_FLOW_RESET, BY_BACKEND, FIN | ACK, 0, 0, 0, LB_FLOW_RESET, CLOSED_COUNTS},
};
/* clang-format on */

static void take(const struct step *step)
{
	struct talk talk = talk_of(CLIENT_PORT);
	struct segment segment;

	run_row("%s: bring there", state_names[step->from]);
	bring_to(&talk, step->from);
	run_row("%s: %s", state_names[step->from], step->name);
	segment = talk_segment(&talk, step->speaker, step->flags, step->payload);
	segment.seq += (uint32_t)step->seq_off;
	segment.ack += (uint32_t)step->ack_off;
	talk_send(&talk, step->speaker, &segment,
		  step->speaker == BY_CLIENT ? LB_V_FORWARDED : LB_V_REPLIED);
	talk_expect_state(&talk, step->to);
	expect_live(1, &step->counts);
	expect_equal(world.meta->live_flows, 1);
}

static void each_row_of_the_table_moves_the_state_and_the_counts(void **state)
{
	for (size_t i = 0; i < COUNT(steps); i++) {
		world_reset(state);
		take(&steps[i]);
	}
}

/* A flow that ended by itself is uncounted already: its end adds nothing to any count. */
static void idle_flow_ends_and_is_uncounted_once(void **state)
{
	for (int s = LB_FLOW_SYN; s <= LB_FLOW_RESET; s++) {
		struct talk talk = talk_of(CLIENT_PORT);
		struct counts after = counts_in[s];

		world_reset(state);
		run_row("%s", state_names[s]);
		bring_to(&talk, s);
		world_timeout(s, 10 * NS_PER_S);
		world_age(9 * NS_PER_S);
		world_sweep();
		talk_expect_state(&talk, s);
		expect_live(1, &counts_in[s]);
		world_age(2 * NS_PER_S);
		world_sweep();
		after.closed = after.opened;
		after.pending_out = after.pending_in;
		after.failed = s == LB_FLOW_SYN;
		expect_live(1, &after);
		expect_no_flow();
		world_sweep();
		expect_live(1, &after);
	}
}

static void timeout_of_another_state_or_of_0_ends_nothing(void **state)
{
	for (int s = LB_FLOW_SYN; s <= LB_FLOW_RESET; s++) {
		struct talk talk = talk_of(CLIENT_PORT);

		world_reset(state);
		run_row("%s", state_names[s]);
		bring_to(&talk, s);
		for (int other = 0; other < LB_FLOW_STATES; other++)
			world_timeout(other, other == s ? 0 : 1);
		world_age(3600 * NS_PER_S);
		world_sweep();
		talk_expect_state(&talk, s);
		expect_live(1, &counts_in[s]);
	}
}

static void packet_of_either_side_keeps_a_flow_alive(void **state)
{
	for (enum speaker by = BY_CLIENT; by <= BY_BACKEND; by++) {
		struct talk talk = talk_of(CLIENT_PORT);

		world_reset(state);
		run_row("packet of %s", by == BY_CLIENT ? "client" : "backend");
		bring_to(&talk, LB_FLOW_OPEN);
		world_timeout(LB_FLOW_OPEN, 10 * NS_PER_S);
		for (int i = 0; i < 3; i++) {
			world_age(8 * NS_PER_S);
			talk_say(&talk, by, ACK, 1,
				 by == BY_CLIENT ? LB_V_FORWARDED : LB_V_REPLIED);
			world_sweep();
			talk_expect_state(&talk, LB_FLOW_OPEN);
		}
	}
}

/* ---- SYN again ----------------------------------------------------------------------------- */

static uint64_t generation(const struct talk *talk)
{
	return LB_FLOW_GENERATION(talk_flow(talk)->word);
}

static void syn_again_is_the_same_flow_until_it_is_over(void **state)
{
	static const struct {
		enum lb_flow_state from;
		uint32_t seq_off; /* another sequence number: another attempt from the same port */
		bool is_new;
	} rows[] = {
		{LB_FLOW_SYN, (uint32_t)-1, false},    {LB_FLOW_SYN, 5000, false},
		{LB_FLOW_SYNACK, (uint32_t)-1, false}, {LB_FLOW_OPEN, (uint32_t)-1, false},
		{LB_FLOW_OPEN, 5000, false},	       {LB_FLOW_FIN_CLIENT, 5000, false},
		{LB_FLOW_FIN_BACKEND, 5000, false},    {LB_FLOW_CLOSING, 5000, true},
		{LB_FLOW_RESET, 5000, true},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct talk talk = talk_of(CLIENT_PORT);
		struct counts counts = counts_in[rows[i].from];
		struct segment segment;
		uint64_t before;

		world_reset(state);
		run_row("%s, SYN %+d", state_names[rows[i].from], (int)rows[i].seq_off);
		bring_to(&talk, rows[i].from);
		before = generation(&talk);
		segment = talk_segment(&talk, BY_CLIENT, SYN, 0);
		segment.seq += rows[i].seq_off;
		talk_send(&talk, BY_CLIENT, &segment,
			  rows[i].is_new ? LB_V_FORWARDED_NEW : LB_V_FORWARDED);
		talk_expect_state(&talk, rows[i].is_new ? LB_FLOW_SYN : rows[i].from);
		counts.pending_in += rows[i].is_new;
		expect_live(1, &counts);
		expect_equal(generation(&talk) != before, rows[i].is_new);
		expect_equal(world.meta->live_flows, 1);
		expect_equal(world_index_count(), 1);
	}
}

/* The newest SYN is right: the last user of the port may have left a half-open flow. */
static void second_attempt_from_the_same_port_can_be_opened(void **state)
{
	struct talk talk = talk_of(CLIENT_PORT);

	(void)state;
	run_row("another sequence number");
	talk_say(&talk, BY_CLIENT, SYN, 0, LB_V_FORWARDED_NEW);
	talk.seq_client += 0x20000000;
	talk_say(&talk, BY_CLIENT, SYN, 0, LB_V_FORWARDED);
	talk_say(&talk, BY_BACKEND, SYN | ACK, 0, LB_V_REPLIED);
	talk_say(&talk, BY_CLIENT, ACK, 0, LB_V_FORWARDED);
	talk_expect_state(&talk, LB_FLOW_OPEN);
	expect_live(1, &(struct counts){1, 0, 1, 1, 0});
}

static enum lb_verdict sent_by(enum speaker speaker)
{
	return speaker == BY_CLIENT ? LB_V_FORWARDED : LB_V_REPLIED;
}

struct order {
	const char *name;
	uint16_t sizes[3]; /* of one side's segments */
	int seen[3];	   /* in this order; -1: lost */
};

static void follow(const struct order *order, enum speaker by)
{
	struct talk talk = talk_of(CLIENT_PORT);
	uint32_t *seq = by == BY_CLIENT ? &talk.seq_client : &talk.seq_backend;
	uint32_t first;

	bring_to(&talk, LB_FLOW_OPEN);
	first = *seq;
	for (int k = 0; k < 3; k++) {
		*seq = first;
		for (int before = 0; before < order->seen[k]; before++)
			*seq += order->sizes[before];
		if (order->seen[k] >= 0)
			talk_say(&talk, by, ACK, order->sizes[order->seen[k]], sent_by(by));
	}
	*seq = first + order->sizes[0] + order->sizes[1] + order->sizes[2] - 1;
	talk_say(&talk, by, RST, 0, sent_by(by));
	talk_expect_state(&talk, LB_FLOW_OPEN);
	*seq += 1;
	talk_say(&talk, by, RST, 0, sent_by(by));
	talk_expect_state(&talk, LB_FLOW_RESET);
}

/* A RST is compared with what the receiver waits for after losses and retransmissions. */
static void expected_number_follows_the_connection(void **state)
{
	static const struct order rows[] = {
		{"in order", {100, 200, 300}, {0, 1, 2}},
		{"the last one first", {100, 200, 300}, {2, 0, 1}},
		{"the middle one lost", {100, 200, 300}, {0, -1, 2}},
		{"the first one twice", {100, 200, 300}, {0, 2, 0}},
		{"only the last", {1, 1, 1400}, {-1, -1, 2}},
	};

	for (size_t i = 0; i < 2 * COUNT(rows); i++) {
		enum speaker by = i % 2 ? BY_BACKEND : BY_CLIENT;

		world_reset(state);
		run_row("%s, by %s", rows[i / 2].name, i % 2 ? "backend" : "client");
		follow(&rows[i / 2], by);
	}
}

static void old_syn_ack_does_not_set_the_number_back(void **state)
{
	struct talk talk = talk_of(CLIENT_PORT);
	struct segment again;

	(void)state;
	run_row("SYN-ACK once more, after data");
	bring_to(&talk, LB_FLOW_OPEN);
	again = talk_segment(&talk, BY_BACKEND, SYN | ACK, 0);
	again.seq--;
	talk_say(&talk, BY_BACKEND, ACK, 500, LB_V_REPLIED);
	talk_send(&talk, BY_BACKEND, &again, LB_V_REPLIED);
	talk_say(&talk, BY_BACKEND, RST, 0, LB_V_REPLIED);
	talk_expect_state(&talk, LB_FLOW_RESET);
}

/* Nor does a SYN of the client: whoever guesses the ports could make his own RST fit. */
static void syn_in_an_open_flow_does_not_move_the_number(void **state)
{
	struct talk talk = talk_of(CLIENT_PORT);
	struct segment forged;

	(void)state;
	run_row("SYN far off, then its RST, then the true one");
	bring_to(&talk, LB_FLOW_OPEN);
	forged = talk_segment(&talk, BY_CLIENT, SYN, 0);
	forged.seq += 0x30000000;
	talk_send(&talk, BY_CLIENT, &forged, LB_V_FORWARDED);
	forged = talk_segment(&talk, BY_CLIENT, RST, 0);
	forged.seq += 0x30000001;
	talk_send(&talk, BY_CLIENT, &forged, LB_V_FORWARDED);
	talk_expect_state(&talk, LB_FLOW_OPEN);
	talk_say(&talk, BY_CLIENT, RST, 0, LB_V_FORWARDED);
	talk_expect_state(&talk, LB_FLOW_RESET);
}

static void acknowledgement_tells_of_data_that_was_not_seen(void **state)
{
	struct talk talk = talk_of(CLIENT_PORT);

	(void)state;
	run_row("the backend acks 40 MB that went another way");
	bring_to(&talk, LB_FLOW_OPEN);
	talk.seq_client += 40000000;
	talk_say(&talk, BY_BACKEND, ACK, 10, LB_V_REPLIED);
	talk_say(&talk, BY_CLIENT, RST, 0, LB_V_FORWARDED);
	talk_expect_state(&talk, LB_FLOW_RESET);
}

/* Both ends close at once: two FINs that cross. */
static void fins_that_cross_count_one_end(void **state)
{
	struct talk talk = talk_of(CLIENT_PORT);

	(void)state;
	run_row("backend first, then client, then each again");
	bring_to(&talk, LB_FLOW_OPEN);
	for (int i = 0; i < 3; i++) {
		struct segment fin = talk_segment(&talk, BY_BACKEND, FIN | ACK, 0);

		talk_send(&talk, BY_BACKEND, &fin, LB_V_REPLIED);
		fin = talk_segment(&talk, BY_CLIENT, FIN | ACK, 0);
		talk_send(&talk, BY_CLIENT, &fin, LB_V_FORWARDED);
	}
	talk_expect_state(&talk, LB_FLOW_CLOSING);
	expect_live(1, &counts_in[LB_FLOW_CLOSING]);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(each_row_of_the_table_moves_the_state_and_the_counts),
		TEST(idle_flow_ends_and_is_uncounted_once),
		TEST(timeout_of_another_state_or_of_0_ends_nothing),
		TEST(packet_of_either_side_keeps_a_flow_alive),
		TEST(syn_again_is_the_same_flow_until_it_is_over),
		TEST(second_attempt_from_the_same_port_can_be_opened),
		TEST(expected_number_follows_the_connection),
		TEST(old_syn_ack_does_not_set_the_number_back),
		TEST(syn_in_an_open_flow_does_not_move_the_number),
		TEST(acknowledgement_tells_of_data_that_was_not_seen),
		TEST(fins_that_cross_count_one_end),
	};

	(void)argc;
	return RUN_TESTS(tests, argv);
}
