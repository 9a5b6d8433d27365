/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Fragments: later ones go where the first one went, in every mode and both directions. */
#include <arpa/inet.h>
#include <string.h>

#include "conv.h"

#define COUNT(rows) (sizeof(rows) / sizeof(*(rows)))
#define WHOLE	    2000 /* bytes of data */
#define PIECE	    1000 /* bytes of a fragment, a multiple of 8 */
#define KEPT_S	    2

static struct conv begin(void **state, const struct mode *mode, const char *what)
{
	static uint64_t generation;

	/* What is known of fragments stays, and must not be taken for this row's. */
	world_reset(state);
	generation += 8;
	for (uint32_t i = 0; i < world.n_records; i++)
		world.flows[i].word = generation << 32;
	run_row("%s, %s", mode->name, what);
	return conv_of(mode);
}

/* The <n>th piece of a packet of <id>. */
static struct wire piece(const struct conv *conv, enum speaker by, uint32_t n, uint32_t id)
{
	struct wire wire = conv_wire(conv, by, ACK, WHOLE);

	wire.df = false;
	wire.id = id;
	wire.cut_at = (uint16_t)(n * PIECE);
	wire.cut_len = PIECE;
	return wire;
}

static enum lb_verdict sent_by(enum speaker by)
{
	return by == BY_CLIENT ? LB_V_FORWARDED : LB_V_REPLIED;
}

static void send_pieces(const struct conv *conv, enum speaker by, uint32_t id)
{
	for (uint32_t n = 0; n < 2; n++) {
		const struct wire wire = piece(conv, by, n, id);

		conv_send(conv, by, &wire, sent_by(by));
	}
}

static void pieces_of_a_packet_go_the_same_way(void **state)
{
	for (uint32_t i = 0; i < n_modes; i++) {
		struct conv conv = begin(state, &modes[i], "two pieces");

		conv_open(&conv);
		for (uint32_t id = 1; id < 5; id++)
			send_pieces(&conv, BY_CLIENT, id * 77);
		for (uint32_t id = 1; id < 5 && conv_is_two_way(&conv); id++)
			send_pieces(&conv, BY_BACKEND, id * 77);
	}
}

/* XDP only. */
static void pieces_with_tags_go_the_same_way(void **state)
{
	for (uint32_t i = 0; i < n_modes; i++) {
		struct conv conv = begin(state, &modes[i], "two pieces, two tags");

		conv.tags[0] = 7;
		conv.tags[1] = 8;
		conv_open(&conv);
		send_pieces(&conv, BY_CLIENT, 1);
	}
}

static void first_piece_may_open_a_udp_flow(void **state)
{
	for (uint32_t i = 0; i < n_modes; i++) {
		struct conv conv = begin(state, &modes[i], "the first packet is cut");
		struct wire wire = piece(&conv, BY_CLIENT, 0, 9);

		if (modes[i].proto != LB_PROTO_UDP)
			continue;
		conv_send(&conv, BY_CLIENT, &wire, LB_V_FORWARDED_NEW);
		wire = piece(&conv, BY_CLIENT, 1, 9);
		conv_send(&conv, BY_CLIENT, &wire, LB_V_FORWARDED);
	}
}

static void last_piece_may_be_short(void **state)
{
	static const uint16_t sizes[] = {1, 2, 7, 8, 9};

	for (uint32_t i = 0; i < n_modes * COUNT(sizes); i++) {
		struct conv conv = begin(state, &modes[i / COUNT(sizes)], "short");
		uint32_t l4 = conv.mode->proto == LB_PROTO_TCP ? TCP_LEN : UDP_LEN;
		uint16_t size = sizes[i % COUNT(sizes)];
		struct wire wire;

		run_row("%s, %u bytes", conv.mode->name, size);
		conv_open(&conv);
		wire = piece(&conv, BY_CLIENT, 0, 9);
		wire.payload = (uint16_t)(PIECE + size - l4);
		conv_send(&conv, BY_CLIENT, &wire, LB_V_FORWARDED);
		wire.cut_at = PIECE;
		wire.cut_len = size;
		conv_send(&conv, BY_CLIENT, &wire, LB_V_FORWARDED);
	}
}

/* ---- Unknown ------------------------------------------------------------------------------- */

static void expect_way_of(const struct wire *wire, enum side side, enum lb_verdict verdict,
			  enum way way)
{
	struct frame in;
	struct sent sent;

	wire_build(&in, wire);
	run_frame(&in, side, &sent);
	run_expect_verdict(&sent, &in, verdict);
	run_expect_way(&sent, &in, way);
	if (way == WAY_NOTHING)
		run_expect_frame(&sent, &in);
}

static void piece_whose_first_was_not_seen_is_dropped(void **state)
{
	static const struct {
		const char *name;
		uint32_t id;
		uint8_t proto; /* 0: the flow's own */
		bool other_client;
		bool late;
		bool flow_ended;
	} rows[] = {
		{"another packet's", 10, 0, false, false, false},
		{"another protocol's", 9, 1, false, false, false},
		{"another client's", 9, 0, true, false, false},
		{"three seconds late", 9, 0, false, true, false},
		{"its flow is over", 9, 0, false, false, true},
	};

	for (uint32_t i = 0; i < n_modes * COUNT(rows); i++) {
		uint32_t r = i % COUNT(rows);
		struct conv conv = begin(state, &modes[i / COUNT(rows)], rows[r].name);
		struct wire wire;

		conv_open(&conv);
		wire = piece(&conv, BY_CLIENT, 0, 9);
		conv_send(&conv, BY_CLIENT, &wire, LB_V_FORWARDED);
		wire = piece(&conv, BY_CLIENT, 1, rows[r].id);
		if (rows[r].proto)
			wire.proto = wire.proto == LB_PROTO_TCP ? LB_PROTO_UDP : LB_PROTO_TCP;
		if (rows[r].other_client)
			wire.saddr.b[15] ^= 1;
		if (rows[r].late)
			world_age_frags((KEPT_S + 1) * 1000000000ULL);
		if (rows[r].flow_ended) {
			world_timeouts(1);
			world_age(1000000000);
			world_sweep();
		}
		expect_way_of(&wire, CLIENT_SIDE, LB_V_FRAG_UNKNOWN, WAY_DROP);
	}
}

static void piece_for_nobody_passes_untouched(void **state)
{
	static const struct {
		const char *name;
		uint8_t proto; /* 0: the flow's own */
		bool elsewhere;
		enum lb_verdict verdict;
	} rows[] = {
		{"to no service", 0, true, LB_V_NOT_OURS},
		{"of a protocol that is not balanced", 47, false, LB_V_NOT_HANDLED},
		{"of ICMP", PROTO_ICMP, false, LB_V_NOT_HANDLED},
		{"of ICMPv6", PROTO_ICMP6, false, LB_V_NOT_HANDLED},
	};

	for (uint32_t i = 0; i < n_modes * COUNT(rows); i++) {
		uint32_t r = i % COUNT(rows);
		struct conv conv = begin(state, &modes[i / COUNT(rows)], rows[r].name);
		struct wire wire = piece(&conv, BY_CLIENT, 1, 9);

		if (rows[r].proto)
			wire.proto = rows[r].proto;
		if (rows[r].elsewhere)
			wire.daddr.b[15] ^= 0x40;
		expect_way_of(&wire, CLIENT_SIDE, rows[r].verdict, WAY_NOTHING);
	}
}

/* ---- Pieces and refusals ------------------------------------------------------------------- */

/* RFC 1122 section 3.2.2: nothing is sent about a later fragment. */
static void later_piece_of_a_killed_flow_is_not_answered(void **state)
{
	for (uint32_t i = 0; i < n_modes; i++) {
		struct conv conv = begin(state, &modes[i], "killed between two pieces");
		struct wire wire;

		conv_open(&conv);
		wire = piece(&conv, BY_CLIENT, 0, 9);
		conv_send(&conv, BY_CLIENT, &wire, LB_V_FORWARDED);
		world.backends[1].flags |= LB_BACKEND_KILL;
		wire = piece(&conv, BY_CLIENT, 1, 9);
		expect_way_of(&wire, CLIENT_SIDE, LB_V_FLOW_KILLED, WAY_DROP);
	}
}

static void later_piece_moves_no_state(void **state)
{
	for (uint32_t i = 0; i < n_modes; i++) {
		struct conv conv = begin(state, &modes[i], "state and numbers");
		struct wire wire;
		struct lb_flow before;
		struct lb_flow *flow;

		conv_open(&conv);
		wire = piece(&conv, BY_CLIENT, 0, 9);
		conv_send(&conv, BY_CLIENT, &wire, LB_V_FORWARDED);
		flow = conv_flow(&conv);
		before = *flow;
		wire = piece(&conv, BY_CLIENT, 1, 9);
		conv_send(&conv, BY_CLIENT, &wire, LB_V_FORWARDED);
		expect_equal(flow->word, before.word);
		expect_equal(flow->seq_client, before.seq_client);
		expect_equal(flow->seq_backend, before.seq_backend);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(pieces_of_a_packet_go_the_same_way),
		TEST_ON(pieces_of_a_packet_go_the_same_way, tc_complete),
		TEST_ON(pieces_with_tags_go_the_same_way, xdp),
		TEST(first_piece_may_open_a_udp_flow),
		TEST(last_piece_may_be_short),
		TEST(piece_whose_first_was_not_seen_is_dropped),
		TEST(piece_for_nobody_passes_untouched),
		TEST(later_piece_of_a_killed_flow_is_not_answered),
		TEST(later_piece_moves_no_state),
	};

	(void)argc;
	return RUN_TESTS(tests, argv);
}
