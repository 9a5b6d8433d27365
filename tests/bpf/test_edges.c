/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Edges of every mode: the last hop, no neighbour, odd headers, RST and FIN where replies pass by.
 */
#include <arpa/inet.h>
#include <string.h>

#include "conv.h"

#define COUNT(rows) (sizeof(rows) / sizeof(*(rows)))
#define L4_AT(conv) (ETH_LEN + ((conv)->mode->client6 ? IP6_LEN : IP_LEN))

static struct conv begin(void **state, const struct mode *mode, const char *what)
{
	world_reset(state);
	run_row("%s, %s", mode->name, what);
	return conv_of(mode);
}

static void expect_frame_as_it_came(const struct frame *in, enum side side, enum lb_verdict verdict)
{
	struct sent sent;

	run_frame(in, side, &sent);
	run_expect_verdict(&sent, in, verdict);
	run_expect_way(&sent, in, WAY_NOTHING);
	run_expect_frame(&sent, in);
}

static void expect_as_it_came(const struct wire *wire, enum side side, enum lb_verdict verdict)
{
	struct frame in;

	wire_build(&in, wire);
	expect_frame_as_it_came(&in, side, verdict);
}

/* ---- The way ------------------------------------------------------------------------------- */

static void last_hop_is_left_to_the_stack_in_every_mode(void **state)
{
	for (uint32_t i = 0; i < n_modes * 2; i++) {
		struct conv conv = begin(state, &modes[i / 2], i % 2 ? "hop limit 1" : "0");
		struct wire wire = conv_wire(&conv, BY_CLIENT, SYN, 0);

		wire.ttl = i % 2;
		expect_as_it_came(&wire, CLIENT_SIDE, LB_V_TTL_EXPIRED);
		expect_no_flow();
		conv_open(&conv);
		wire = conv_wire(&conv, BY_CLIENT, ACK | FIN, 7);
		wire.ttl = i % 2;
		expect_as_it_came(&wire, CLIENT_SIDE, LB_V_TTL_EXPIRED);
		wire = conv_wire(&conv, BY_BACKEND, ACK | RST, 0);
		wire.ttl = i % 2;
		if (conv_is_two_way(&conv))
			expect_as_it_came(&wire, BACKEND_SIDE, LB_V_TTL_EXPIRED);
		expect_live(1, &(struct counts){1, 0, 1, 1, 0});
	}
}

/* The stack asks for the neighbour of what is rewritten; a dsr packet would come back to it. */
static void unknown_neighbour_is_the_stacks_but_for_dsr(void **state)
{
	for (uint32_t i = 0; i < n_modes; i++) {
		struct conv conv = begin(state, &modes[i], "no neighbour");
		const struct wire wire = conv_wire(&conv, BY_CLIENT, SYN, 0);
		bool dsr = modes[i].forward == LB_FORWARD_DSR;
		struct frame in;
		struct frame expected;
		struct sent sent;

		conv.backend = modes[i].backend6 ? place_ip6(2, 200) : ip_of(BACKEND_UNRESOLVED);
		world_backend_at(1, &conv.backend, conv.backend_port, 1, ELIGIBLE);
		world.backends[1].source = conv.source;
		wire_build(&in, &wire);
		run_frame(&in, CLIENT_SIDE, &sent);
		run_expect_verdict(&sent, &in, dsr ? LB_V_NO_NEIGHBOUR : LB_V_TO_STACK);
		run_expect_way(&sent, &in, dsr ? WAY_DROP : WAY_STACK);
		if (dsr)
			continue;
		conv_expected(&conv, BY_CLIENT, &wire, &sent.out, &expected);
		memcpy(expected.bytes, in.bytes, 12);
		run_expect_frame(&sent, &expected);
	}
}

/* ---- Headers ------------------------------------------------------------------------------- */

static void udp_that_lies_about_its_length_opens_nothing(void **state)
{
	static const struct {
		const char *name;
		uint16_t len;
	} rows[] = {{"0", 0}, {"7", 7}, {"one more than there is", 29}, {"65535", 65535}};

	for (uint32_t i = 0; i < n_modes * COUNT(rows); i++) {
		uint32_t r = i % COUNT(rows);
		struct conv conv = begin(state, &modes[i / COUNT(rows)], rows[r].name);
		const struct wire wire = conv_wire(&conv, BY_CLIENT, 0, 20);
		struct frame in;
		struct sent sent;

		if (conv.mode->proto != LB_PROTO_UDP)
			continue;
		wire_build(&in, &wire);
		frame_put16(&in, L4_AT(&conv) + 4, rows[r].len);
		run_frame(&in, CLIENT_SIDE, &sent);
		run_expect_verdict(&sent, &in, LB_V_MALFORMED);
		run_expect_way(&sent, &in, WAY_DROP);
		expect_no_flow();
	}
}

static void extension_headers_without_end_are_not_followed(void **state)
{
	for (uint32_t i = 0; i < n_modes; i++) {
		struct conv conv = begin(state, &modes[i], "a chain in itself");
		const struct wire wire = conv_wire(&conv, BY_CLIENT, SYN, 200);
		struct frame in;

		if (!modes[i].client6)
			continue;
		wire_build(&in, &wire);
		/* Each says that another of its kind follows. */
		in.bytes[ETH_LEN + 6] = TO_OPTIONS;
		memset(in.bytes + L4_AT(&conv), 0, 200);
		for (uint32_t at = L4_AT(&conv); at < L4_AT(&conv) + 200; at += 8)
			in.bytes[at] = TO_OPTIONS;
		expect_frame_as_it_came(&in, CLIENT_SIDE, LB_V_NOT_HANDLED);
		/* One whose length leads out of the packet. */
		in.bytes[L4_AT(&conv) + 1] = 0xff;
		expect_frame_as_it_came(&in, CLIENT_SIDE, LB_V_NOT_HANDLED);
		/* IPsec and "no next header" are nobody's here. */
		in.bytes[ETH_LEN + 6] = 50;
		expect_frame_as_it_came(&in, CLIENT_SIDE, LB_V_NOT_HANDLED);
		in.bytes[ETH_LEN + 6] = 59;
		expect_frame_as_it_came(&in, CLIENT_SIDE, LB_V_NOT_HANDLED);
	}
}

/* RFC 6946: a fragment header, and the packet is whole. */
static void atomic_fragment_is_a_whole_packet(void **state)
{
	for (uint32_t i = 0; i < n_modes; i++) {
		struct conv conv = begin(state, &modes[i], "atomic fragment");
		struct wire wire = conv_wire(&conv, BY_CLIENT, SYN, 30);

		if (!modes[i].client6)
			continue;
		wire.cut_len = 30 + (modes[i].proto == LB_PROTO_TCP ? TCP_LEN : UDP_LEN);
		conv_send(&conv, BY_CLIENT, &wire, LB_V_FORWARDED_NEW);
	}
}

/* Never on the wire (RFC 6890), and in the maps they mean IPv4. */
static void mapped_address_in_an_ipv6_header_is_nobodys(void **state)
{
	for (uint32_t i = 0; i < n_modes * 3; i++) {
		struct conv conv = begin(state, &modes[i / 3], "::ffff:a.b.c.d");
		struct wire wire = conv_wire(&conv, BY_CLIENT, SYN, 30);
		struct frame in;

		if (conv.mode->client6)
			continue;
		wire.saddr = place_ip6(1, 1);
		wire.daddr = place_ip6(1, 2);
		wire_build(&in, &wire);
		if (i % 3 != 1)
			memcpy(in.bytes + ETH_LEN + 8, &conv.client, 16);
		if (i % 3 != 2)
			memcpy(in.bytes + ETH_LEN + 24, &conv.vip, 16);
		expect_frame_as_it_came(&in, CLIENT_SIDE, LB_V_NOT_HANDLED);
		expect_no_flow();
	}
}

/* ---- States of one way --------------------------------------------------------------------- */

static void one_way_connection_that_closes_at_once_is_closed(void **state)
{
	static const struct {
		const char *name;
		uint8_t says[3]; /* behind the SYN */
		struct counts counts;
	} rows[] = {
		{"ACK, FIN", {ACK, FIN | ACK, ACK}, {1, 1, 1, 1, 0}},
		{"its ACK was lost", {FIN | ACK, ACK, ACK}, {0, 0, 1, 1, 0}},
	};

	for (uint32_t i = 0; i < n_modes * COUNT(rows); i++) {
		uint32_t r = i % COUNT(rows);
		struct conv conv = begin(state, &modes[i / COUNT(rows)], rows[r].name);

		if (conv.mode->proto != LB_PROTO_TCP || conv_is_two_way(&conv))
			continue;
		conv_say(&conv, BY_CLIENT, SYN, 0, LB_V_FORWARDED_NEW);
		for (uint32_t k = 0; k < COUNT(rows[r].says); k++)
			conv_say(&conv, BY_CLIENT, rows[r].says[k], 0, LB_V_FORWARDED);
		conv_expect_state(&conv, LB_FLOW_CLOSING);
		expect_live(1, &rows[r].counts);
	}
}

static void rst_ends_a_one_way_flow_only_when_it_fits(void **state)
{
	static const struct {
		const char *name;
		int32_t off;
		enum lb_flow_state state;
		struct counts counts;
	} rows[] = {
		{"that fits", 0, LB_FLOW_RESET, {1, 1, 1, 1, 0}},
		{"one off", 1, LB_FLOW_OPEN, {1, 0, 1, 1, 0}},
		{"one before", -1, LB_FLOW_OPEN, {1, 0, 1, 1, 0}},
		{"far off", 1 << 28, LB_FLOW_OPEN, {1, 0, 1, 1, 0}},
	};

	for (uint32_t i = 0; i < n_modes * COUNT(rows); i++) {
		uint32_t r = i % COUNT(rows);
		struct conv conv = begin(state, &modes[i / COUNT(rows)], rows[r].name);
		struct wire wire;

		if (conv.mode->proto != LB_PROTO_TCP || conv_is_two_way(&conv))
			continue;
		conv_open(&conv);
		wire = conv_wire(&conv, BY_CLIENT, RST, 0);
		wire.seq += (uint32_t)rows[r].off;
		conv_send(&conv, BY_CLIENT, &wire, LB_V_FORWARDED);
		conv_expect_state(&conv, rows[r].state);
		expect_live(1, &rows[r].counts);
	}
}

static void new_syn_after_the_end_is_a_new_flow_in_every_mode(void **state)
{
	for (uint32_t i = 0; i < n_modes; i++) {
		struct conv conv = begin(state, &modes[i], "SYN after RST");
		const struct lb_flow *first;
		uint64_t generation;

		if (modes[i].proto != LB_PROTO_TCP)
			continue;
		conv_open(&conv);
		conv_say(&conv, BY_CLIENT, RST, 0, LB_V_FORWARDED);
		first = conv_flow(&conv);
		generation = LB_FLOW_GENERATION(first->word);
		conv.seq_client += 100000;
		conv.source_port += modes[i].forward == LB_FORWARD_SNAT;
		conv_say(&conv, BY_CLIENT, SYN, 0, LB_V_FORWARDED_NEW);
		expect_equal(LB_FLOW_GENERATION(conv_flow(&conv)->word) != generation ||
				     conv_flow(&conv) != first,
			     true);
		expect_equal(world.meta->live_flows, 1);
	}
}

/* A blind ACK in a one-way mode opens nothing and counts nothing. */
static void blind_packets_of_one_way_modes_count_nothing(void **state)
{
	for (uint32_t i = 0; i < n_modes; i++) {
		struct conv conv = begin(state, &modes[i], "ACK, FIN, RST out of nowhere");

		if (modes[i].proto != LB_PROTO_TCP || conv_is_two_way(&conv))
			continue;
		for (uint16_t k = 0; k < 200; k++, conv.client_port++) {
			conv_say(&conv, BY_CLIENT, ACK, 10, LB_V_UNTRACKED);
			conv_say(&conv, BY_CLIENT, ACK | FIN, 0, LB_V_UNTRACKED);
			conv_say(&conv, BY_CLIENT, RST, 0, LB_V_UNTRACKED);
		}
		expect_no_flow();
		expect_live(1, &(struct counts){0});
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(last_hop_is_left_to_the_stack_in_every_mode),
		TEST(unknown_neighbour_is_the_stacks_but_for_dsr),
		TEST(udp_that_lies_about_its_length_opens_nothing),
		TEST(extension_headers_without_end_are_not_followed),
		TEST(atomic_fragment_is_a_whole_packet),
		TEST(mapped_address_in_an_ipv6_header_is_nobodys),
		TEST(one_way_connection_that_closes_at_once_is_closed),
		TEST(rst_ends_a_one_way_flow_only_when_it_fits),
		TEST(new_syn_after_the_end_is_a_new_flow_in_every_mode),
		TEST(blind_packets_of_one_way_modes_count_nothing),
	};

	(void)argc;
	return RUN_TESTS(tests, argv);
}
