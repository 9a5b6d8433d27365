/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Every forward mode, family and protocol: what leaves, byte for byte. */
#include <arpa/inet.h>
#include <string.h>

#include "conv.h"

#define COUNT(rows) (sizeof(rows) / sizeof(*(rows)))

static struct conv begin(void **state, const struct mode *mode, const char *what)
{
	world_reset(state);
	run_row("%s, %s", mode->name, what);
	return conv_of(mode);
}

/* ---- Conversations ------------------------------------------------------------------------- */

static void converse(struct conv *conv)
{
	enum lb_verdict back = LB_V_REPLIED;

	conv_open(conv);
	for (uint16_t size = 0; size < 1200; size += 399) {
		conv_say(conv, BY_CLIENT, ACK | PSH, size, LB_V_FORWARDED);
		if (conv_is_two_way(conv))
			conv_say(conv, BY_BACKEND, ACK | PSH, size + 1, back);
	}
	conv_expect_state(conv,
			  conv->mode->proto == LB_PROTO_TCP ? LB_FLOW_OPEN : LB_FLOW_UDP_OPEN);
	expect_live(1, &(struct counts){1, 0, 1, 1, 0});
	expect_equal(world_index_count(), conv_is_two_way(conv) ? 1 : 0);
}

static void every_mode_forwards_byte_for_byte(void **state)
{
	for (uint32_t i = 0; i < n_modes; i++) {
		struct conv conv = begin(state, &modes[i], "plain");

		converse(&conv);
	}
}

/* XDP only: under TC tags are beside the frame. */
static void tags_stay_in_every_mode(void **state)
{
	for (uint32_t i = 0; i < n_modes * 2; i++) {
		struct conv conv = begin(state, &modes[i / 2], i % 2 ? "two tags" : "one tag");

		conv.tags[0] = 0x2064;
		conv.tags[1] = i % 2 ? 0x0fff : 0;
		converse(&conv);
	}
}

static void udp_without_a_checksum_stays_so(void **state)
{
	for (uint32_t i = 0; i < n_modes; i++) {
		struct conv conv = begin(state, &modes[i], "checksum 0");

		if (modes[i].proto != LB_PROTO_UDP)
			continue;
		conv.no_sum = true;
		converse(&conv);
	}
}

static void traffic_class_is_kept_and_copied_outside(void **state)
{
	for (uint32_t i = 0; i < n_modes; i++) {
		struct conv conv = begin(state, &modes[i], "every ECN mark");

		for (uint8_t ecn = 0; ecn <= 3; ecn++) {
			struct wire wire = conv_wire(&conv, BY_CLIENT, SYN, 3);

			wire.tos = 0xb8 | ecn;
			wire.label = modes[i].client6 ? 0xabcde : 0;
			conv_send(&conv, BY_CLIENT, &wire,
				  ecn ? LB_V_FORWARDED : LB_V_FORWARDED_NEW);
		}
	}
}

static void options_and_extension_headers_are_carried_along(void **state)
{
	static const struct {
		const char *name;
		uint8_t ext[4];
		uint8_t n_ext;
		uint8_t ip_options;
	} rows[] = {
		{"hop by hop", {HOP_BY_HOP}, 1, 4},
		{"destination options", {TO_OPTIONS}, 1, 20},
		{"three", {HOP_BY_HOP, TO_OPTIONS, TO_OPTIONS}, 3, 36},
		{"four with a routing header",
		 {HOP_BY_HOP, TO_OPTIONS, ROUTING, TO_OPTIONS},
		 4,
		 40},
	};

	for (uint32_t i = 0; i < n_modes * COUNT(rows); i++) {
		const struct mode *mode = &modes[i / COUNT(rows)];
		uint32_t r = i % COUNT(rows);
		struct conv conv = begin(state, mode, rows[r].name);
		struct wire wire = conv_wire(&conv, BY_CLIENT, SYN, 5);

		wire.ip_options = mode->client6 ? 0 : rows[r].ip_options;
		wire.n_ext = mode->client6 ? rows[r].n_ext : 0;
		memcpy(wire.ext, rows[r].ext, sizeof(wire.ext));
		conv_send(&conv, BY_CLIENT, &wire, LB_V_FORWARDED_NEW);
	}
}

/* ---- Sums of 0 ----------------------------------------------------------------------------- */

/* Two bytes of data with which the packet that leaves has a checksum of 0, written ffff. */
static bool steer_to_zero(const struct conv *conv, enum speaker speaker, struct wire *wire,
			  uint8_t data[2])
{
	const struct frame none = {0};
	uint32_t at = wire_l2_len(wire) + (conv->mode->client6 ? IP6_LEN : IP_LEN) + 6;

	wire->data = data;
	for (uint32_t value = 0; value <= 0xffff; value++) {
		struct frame out;

		data[0] = value >> 8;
		data[1] = value & 0xff;
		conv_expected(conv, speaker, wire, &none, &out);
		if (frame_get16(&out, at) == 0xffff)
			return true;
	}
	return false;
}

static void udp_sum_that_becomes_zero_is_written_as_ffff(void **state)
{
	for (uint32_t i = 0; i < n_modes * 2; i++) {
		enum speaker speaker = i % 2 ? BY_BACKEND : BY_CLIENT;
		struct conv conv = begin(state, &modes[i / 2], i % 2 ? "backend" : "client");
		struct wire wire;
		uint8_t data[2];

		if (conv.mode->proto != LB_PROTO_UDP || !conv_is_two_way(&conv))
			continue;
		conv_open(&conv);
		wire = conv_wire(&conv, speaker, 0, sizeof(data));
		if (!steer_to_zero(&conv, speaker, &wire, data))
			run_fail("the test is wrong: no data gives a sum of 0");
		conv_send(&conv, speaker, &wire,
			  speaker == BY_CLIENT ? LB_V_FORWARDED : LB_V_REPLIED);
	}
}

/* ---- One-way states ------------------------------------------------------------------------ */

static void third_packet_proves_the_client_where_replies_do_not_pass(void **state)
{
	for (uint32_t i = 0; i < n_modes; i++) {
		struct conv conv = begin(state, &modes[i], "SYN, SYN again, ACK, ACK, FIN");
		bool tcp = modes[i].proto == LB_PROTO_TCP;
		const struct counts unproven = {0, 0, 1, 0, 0};

		if (conv_is_two_way(&conv))
			continue;
		conv_say(&conv, BY_CLIENT, SYN, 0, LB_V_FORWARDED_NEW);
		if (tcp) {
			conv.seq_client--;
			conv_say(&conv, BY_CLIENT, SYN, 0, LB_V_FORWARDED);
		}
		conv_say(&conv, BY_CLIENT, ACK, 0, LB_V_FORWARDED);
		expect_live(1, &unproven);
		conv_expect_state(&conv, tcp ? LB_FLOW_SYN : LB_FLOW_UDP_NEW);
		conv_say(&conv, BY_CLIENT, ACK, 0, LB_V_FORWARDED);
		expect_live(1, &(struct counts){1, 0, 1, 1, 0});
		conv_expect_state(&conv, tcp ? LB_FLOW_OPEN : LB_FLOW_UDP_OPEN);
		if (!tcp)
			continue;
		conv_say(&conv, BY_CLIENT, ACK | FIN, 0, LB_V_FORWARDED);
		conv_expect_state(&conv, LB_FLOW_CLOSING);
		expect_live(1, &(struct counts){1, 1, 1, 1, 0});
	}
}

static void first_reply_opens_a_udp_flow(void **state)
{
	for (uint32_t i = 0; i < n_modes; i++) {
		struct conv conv = begin(state, &modes[i], "many datagrams, then a reply");

		if (modes[i].proto != LB_PROTO_UDP || !conv_is_two_way(&conv))
			continue;
		for (int k = 0; k < 5; k++)
			conv_say(&conv, BY_CLIENT, 0, 20, k ? LB_V_FORWARDED : LB_V_FORWARDED_NEW);
		conv_expect_state(&conv, LB_FLOW_UDP_NEW);
		expect_live(1, &(struct counts){0, 0, 1, 0, 0});
		conv_say(&conv, BY_BACKEND, 0, 20, LB_V_REPLIED);
		conv_expect_state(&conv, LB_FLOW_UDP_OPEN);
		expect_live(1, &(struct counts){1, 0, 1, 1, 0});
	}
}

/* ---- Entropy ------------------------------------------------------------------------------- */

static uint32_t entropy_of(const struct conv *conv, uint8_t flags)
{
	const struct wire wire = conv_wire(conv, BY_CLIENT, flags, 0);
	struct frame in;
	struct sent sent;

	wire_build(&in, &wire);
	run_frame(&in, CLIENT_SIDE, &sent);
	if (conv->mode->backend6)
		return frame_get16(&sent.out, ETH_LEN + 2);
	return frame_get16(&sent.out, ETH_LEN + IP_LEN);
}

/* So that receivers spread flows over their queues, and keep each in order. */
static void outer_headers_tell_flows_apart_and_keep_one_together(void **state)
{
	for (uint32_t i = 0; i < n_modes; i++) {
		struct conv conv = begin(state, &modes[i], "20 flows");
		uint32_t same = 0;
		uint32_t first;

		if (!conv_is_tunnel(&conv) ||
		    (modes[i].forward == LB_FORWARD_IPIP && !modes[i].backend6))
			continue;
		first = entropy_of(&conv, SYN);
		for (int k = 0; k < 5; k++)
			expect_equal(entropy_of(&conv, ACK), first);
		for (int k = 0; k < 20; k++) {
			conv.client_port++;
			same += entropy_of(&conv, SYN) == first;
		}
		if (same > 2)
			run_fail("%u of 20 other flows look like the first", same);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(every_mode_forwards_byte_for_byte),
		TEST_ON(every_mode_forwards_byte_for_byte, tc_complete),
		TEST_ON(tags_stay_in_every_mode, xdp),
		TEST(udp_without_a_checksum_stays_so),
		TEST_ON(udp_without_a_checksum_stays_so, tc_complete),
		TEST(traffic_class_is_kept_and_copied_outside),
		TEST(options_and_extension_headers_are_carried_along),
		TEST_ON(options_and_extension_headers_are_carried_along, tc_complete),
		TEST(udp_sum_that_becomes_zero_is_written_as_ffff),
		TEST_ON(udp_sum_that_becomes_zero_is_written_as_ffff, tc_complete),
		TEST(third_packet_proves_the_client_where_replies_do_not_pass),
		TEST(first_reply_opens_a_udp_flow),
		TEST(outer_headers_tell_flows_apart_and_keep_one_together),
	};

	(void)argc;
	return RUN_TESTS(tests, argv);
}
