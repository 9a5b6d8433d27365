/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the balancer says itself, in every mode: too big, port unreachable, RST; and what tunnels
 * learn from errors about them. */
#include <arpa/inet.h>
#include <string.h>

#include "conv.h"

#define COUNT(rows) (sizeof(rows) / sizeof(*(rows)))
#define QUOTE_MOST  512
#define LINK_MTU    1500
#define LEARNT_S    600

static struct conv begin(void **state, const struct mode *mode, const char *what)
{
	world_reset(state);
	run_row("%s, %s", mode->name, what);
	return conv_of(mode);
}

static uint16_t overhead(const struct conv *conv)
{
	uint16_t len = conv->mode->backend6 ? IP6_LEN : IP_LEN;

	if (!conv_is_tunnel(conv))
		return 0;
	return conv->mode->forward == LB_FORWARD_GUE ? len + UDP_LEN : len;
}

/* A packet of <len> bytes from the IP header on. */
static struct wire sized(const struct conv *conv, enum speaker by, uint32_t len)
{
	uint32_t headers = (conv->mode->client6 ? IP6_LEN : IP_LEN) +
			   (conv->mode->proto == LB_PROTO_TCP ? TCP_LEN : UDP_LEN);

	return conv_wire(conv, by, ACK, (uint16_t)(len - headers));
}

static void expect_too_big(const struct wire *in, enum side side, uint16_t mtu)
{
	struct wire answer;
	struct frame quoted;

	wire_error(in, &in->daddr, QUOTE_MOST, &answer, &quoted);
	answer.type = wire_is_v6(in) ? 2 : 3;
	answer.code = wire_is_v6(in) ? 0 : 4;
	answer.rest = mtu;
	conv_expect_answer(in, side, LB_V_TOO_BIG, &answer);
}

/* ---- Too big ------------------------------------------------------------------------------- */

static void largest_packet_passes_and_one_byte_more_is_answered(void **state)
{
	for (uint32_t i = 0; i < n_modes; i++) {
		struct conv conv = begin(state, &modes[i], "the link's MTU");
		uint16_t mtu = LINK_MTU - overhead(&conv);
		struct wire wire;

		conv_open(&conv);
		wire = sized(&conv, BY_CLIENT, mtu);
		conv_send(&conv, BY_CLIENT, &wire, LB_V_FORWARDED);
		wire = sized(&conv, BY_CLIENT, mtu + 1);
		expect_too_big(&wire, CLIENT_SIDE, mtu);
		if (!conv_is_two_way(&conv))
			continue;
		wire = sized(&conv, BY_BACKEND, LINK_MTU);
		conv_send(&conv, BY_BACKEND, &wire, LB_V_REPLIED);
		wire = sized(&conv, BY_BACKEND, LINK_MTU + 1);
		expect_too_big(&wire, BACKEND_SIDE, LINK_MTU);
	}
}

/* XDP only: the frame is larger by its tags, the packet is not. */
static void tags_are_no_part_of_what_is_too_big(void **state)
{
	for (uint32_t i = 0; i < n_modes; i++) {
		struct conv conv = begin(state, &modes[i], "two tags");
		uint16_t mtu = LINK_MTU - overhead(&conv);
		struct wire wire;

		conv.tags[0] = 100;
		conv.tags[1] = 200;
		conv_open(&conv);
		wire = sized(&conv, BY_CLIENT, mtu);
		conv_send(&conv, BY_CLIENT, &wire, LB_V_FORWARDED);
		wire = sized(&conv, BY_CLIENT, mtu + 1);
		expect_too_big(&wire, CLIENT_SIDE, mtu);
	}
}

static void options_of_a_packet_too_big_are_quoted_not_answered(void **state)
{
	for (uint32_t i = 0; i < n_modes; i++) {
		struct conv conv = begin(state, &modes[i], "options");
		uint16_t mtu = LINK_MTU - overhead(&conv);
		struct wire wire;

		conv_open(&conv);
		wire = sized(&conv, BY_CLIENT, mtu + 1);
		wire.ip_options = modes[i].client6 ? 0 : 40;
		wire.n_ext = modes[i].client6 ? 2 : 0;
		wire.ext[1] = TO_OPTIONS;
		expect_too_big(&wire, CLIENT_SIDE, mtu);
	}
}

/* Without DF IPv4 may be cut on its way; a tunnel may not be. */
static void packet_that_may_be_cut_goes_to_the_stack_but_for_tunnels(void **state)
{
	for (uint32_t i = 0; i < n_modes; i++) {
		struct conv conv = begin(state, &modes[i], "no DF");
		uint16_t mtu = LINK_MTU - overhead(&conv);
		struct frame in;
		struct sent sent;
		struct wire wire;

		conv_open(&conv);
		wire = sized(&conv, BY_CLIENT, mtu + 1);
		wire.df = false;
		wire_build(&in, &wire);
		if (modes[i].client6 || conv_is_tunnel(&conv)) {
			expect_too_big(&wire, CLIENT_SIDE, mtu);
			continue;
		}
		run_frame(&in, CLIENT_SIDE, &sent);
		run_expect_verdict(&sent, &in, LB_V_TO_STACK);
		run_expect_way(&sent, &in, WAY_STACK);
	}
}

/* ---- Errors about tunnels ------------------------------------------------------------------ */

/* A router on the way to the backend could not carry what left: it quotes <quote> bytes of it. */
static void tell_of_tunnel(struct conv *conv, uint16_t mtu, uint32_t quote, struct frame *ret_error)
{
	const struct wire wire = conv_wire(conv, BY_CLIENT, ACK, 100);
	bool v6 = conv->mode->backend6;
	struct wire error = {
		.dmac = {2, 0, 0, 0, 2, 1},
		.smac = {2, 0, 0, 0, 2, 0xfe},
		.saddr = v6 ? place_ip6(2, 0xfe) : ip_of(IPV4(10, 2, 0, 254)),
		.daddr = conv->source,
		.proto = v6 ? PROTO_ICMP6 : PROTO_ICMP,
		.ttl = 60,
		.type = v6 ? 2 : 3,
		.code = v6 ? 0 : 4,
		.rest = mtu,
	};
	struct frame in;
	struct sent sent;

	wire_build(&in, &wire);
	run_frame(&in, CLIENT_SIDE, &sent);
	run_expect_verdict(&sent, &in, LB_V_FORWARDED);
	error.data = sent.out.bytes + ETH_LEN;
	error.payload = (uint16_t)(quote < sent.out.len - ETH_LEN ? quote : sent.out.len - ETH_LEN);
	wire_build(ret_error, &error);
}

static uint32_t pmtu(void)
{
	return (uint32_t)world.live[1].pmtu;
}

static void error_about_a_tunnel_narrows_it_for_ten_minutes(void **state)
{
	for (uint32_t i = 0; i < n_modes; i++) {
		struct conv conv = begin(state, &modes[i], "MTU 1400");
		uint16_t mtu = 1400 - overhead(&conv);
		struct frame error;
		struct sent sent;
		struct wire wire;

		if (!conv_is_tunnel(&conv))
			continue;
		conv_open(&conv);
		tell_of_tunnel(&conv, 1400, overhead(&conv) + (modes[i].client6 ? 48 : 28), &error);
		run_frame(&error, BACKEND_SIDE, &sent);
		run_expect_verdict(&sent, &error, LB_V_TUNNEL_ERROR);
		run_expect_way(&sent, &error, WAY_DROP);
		expect_equal(pmtu(), 1400);
		wire = sized(&conv, BY_CLIENT, mtu);
		conv_send(&conv, BY_CLIENT, &wire, LB_V_FORWARDED);
		wire = sized(&conv, BY_CLIENT, mtu + 1);
		expect_too_big(&wire, CLIENT_SIDE, mtu);
		world.live[1].pmtu -= (uint64_t)(LEARNT_S * world.second + 1) << 32;
		conv_send(&conv, BY_CLIENT, &wire, LB_V_FORWARDED);
	}
}

static void error_about_a_tunnel_that_is_not_believed_narrows_nothing(void **state)
{
	static const struct {
		const char *name;
		uint16_t mtu;
		uint32_t quote;
		uint16_t port_off; /* of a client that has no flow */
		enum lb_verdict verdict;
	} rows[] = {
		{"MTU 0", 0, 1000, 0, LB_V_TUNNEL_ERROR},
		{"MTU 68", 68, 1000, 0, LB_V_TUNNEL_ERROR},
		{"MTU 575", 575, 1000, 0, LB_V_TUNNEL_ERROR},
		{"cut in the outer header", 1400, 19, 0, LB_V_ICMP_UNKNOWN},
		{"cut behind the outer header", 1400, 20, 0, LB_V_ICMP_UNKNOWN},
		{"cut in the inner header", 1400, 50, 0, LB_V_ICMP_UNKNOWN},
	};

	for (uint32_t i = 0; i < n_modes * COUNT(rows); i++) {
		uint32_t r = i % COUNT(rows);
		struct conv conv = begin(state, &modes[i / COUNT(rows)], rows[r].name);
		uint32_t inner = conv.mode->client6 ? 48 : 28;
		uint32_t quote = rows[r].quote;
		struct frame error;
		struct sent sent;

		if (!conv_is_tunnel(&conv))
			continue;
		if (quote == 50)
			quote = overhead(&conv) + inner - 1;
		conv_open(&conv);
		tell_of_tunnel(&conv, rows[r].mtu, quote, &error);
		run_frame(&error, BACKEND_SIDE, &sent);
		run_expect_verdict(&sent, &error, rows[r].verdict);
		expect_equal(pmtu(), 0);
	}
}

/* ---- Refusals ------------------------------------------------------------------------------ */

static void expect_refused(const struct wire *in, enum lb_verdict verdict)
{
	struct wire answer;
	struct frame quoted;

	if (in->proto == LB_PROTO_UDP) {
		wire_error(in, &in->daddr, QUOTE_MOST, &answer, &quoted);
		answer.type = wire_is_v6(in) ? 1 : 3;
		answer.code = wire_is_v6(in) ? 4 : 3;
	} else {
		wire_error(in, &in->daddr, 0, &answer, &quoted);
		answer.proto = LB_PROTO_TCP;
		answer.payload = 0;
		answer.sport = in->dport;
		answer.dport = in->sport;
		answer.flags = in->flags & ACK ? RST : RST | ACK;
		answer.seq = in->flags & ACK ? in->ack : 0;
		answer.ack = in->flags & ACK ? 0
					     : in->seq + in->payload + !!(in->flags & SYN) +
						       !!(in->flags & FIN);
	}
	conv_expect_answer(in, CLIENT_SIDE, verdict, &answer);
}

static void client_that_nobody_serves_is_told_so(void **state)
{
	static const uint16_t sizes[] = {0, 1, 3, 471, 600, 1432};

	for (uint32_t i = 0; i < n_modes * COUNT(sizes); i++) {
		struct conv conv = begin(state, &modes[i / COUNT(sizes)], "none eligible");
		struct wire wire = conv_wire(&conv, BY_CLIENT, SYN, sizes[i % COUNT(sizes)]);

		run_row("%s, %u bytes", conv.mode->name, wire.payload);
		world.backends[1].flags = LB_BACKEND_USED;
		expect_refused(&wire, LB_V_NO_BACKEND);
		wire.ip_options = conv.mode->client6 ? 0 : 12;
		wire.n_ext = conv.mode->client6 ? 1 : 0;
		expect_refused(&wire, LB_V_NO_BACKEND);
		wire.no_sum = true;
		expect_refused(&wire, LB_V_NO_BACKEND);
		expect_no_flow();
	}
}

/* XDP only. */
static void refusal_keeps_the_tags(void **state)
{
	for (uint32_t i = 0; i < n_modes * 2; i++) {
		struct conv conv = begin(state, &modes[i / 2], i % 2 ? "two tags" : "one tag");
		struct wire wire;

		conv.tags[0] = 0x0123;
		conv.tags[1] = i % 2 ? 0x0456 : 0;
		wire = conv_wire(&conv, BY_CLIENT, SYN, 50);
		world.backends[1].flags = LB_BACKEND_USED;
		expect_refused(&wire, LB_V_NO_BACKEND);
	}
}

/* A TCP packet without a flow: RST where replies pass, else a backend by hash. */
static void packet_of_no_flow_is_refused_or_sent_by_hash(void **state)
{
	for (uint32_t i = 0; i < n_modes; i++) {
		struct conv conv = begin(state, &modes[i], "ACK out of nowhere");
		struct wire wire = conv_wire(&conv, BY_CLIENT, ACK | PSH, 77);

		if (modes[i].proto != LB_PROTO_TCP)
			continue;
		if (conv_is_two_way(&conv))
			expect_refused(&wire, LB_V_NO_FLOW);
		else
			conv_send(&conv, BY_CLIENT, &wire, LB_V_UNTRACKED);
		expect_no_flow();
		expect_live(1, &(struct counts){0});
	}
}

static void killed_flow_is_refused_in_every_mode(void **state)
{
	for (uint32_t i = 0; i < n_modes; i++) {
		struct conv conv = begin(state, &modes[i], "killed");
		struct wire wire;

		conv_open(&conv);
		world.backends[1].flags |= LB_BACKEND_KILL;
		wire = conv_wire(&conv, BY_CLIENT, ACK | PSH, 77);
		expect_refused(&wire, LB_V_FLOW_KILLED);
		expect_live(1, &(struct counts){1, 1, 1, 1, 0});
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(largest_packet_passes_and_one_byte_more_is_answered),
		TEST_ON(tags_are_no_part_of_what_is_too_big, xdp),
		TEST(options_of_a_packet_too_big_are_quoted_not_answered),
		TEST(packet_that_may_be_cut_goes_to_the_stack_but_for_tunnels),
		TEST(error_about_a_tunnel_narrows_it_for_ten_minutes),
		TEST(error_about_a_tunnel_that_is_not_believed_narrows_nothing),
		TEST(client_that_nobody_serves_is_told_so),
		TEST_ON(refusal_keeps_the_tags, xdp),
		TEST(packet_of_no_flow_is_refused_or_sent_by_hash),
		TEST(killed_flow_is_refused_in_every_mode),
	};

	(void)argc;
	return RUN_TESTS(tests, argv);
}
