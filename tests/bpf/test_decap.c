/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* lb_decap on a backend: the packet without its tunnel, byte for byte, and all else as it came. */
#include <arpa/inet.h>
#include <linux/bpf.h>
#include <string.h>

#include "conv.h"

#define COUNT(rows)  (sizeof(rows) / sizeof(*(rows)))
#define NOISE_FRAMES 20000

/* <wire> as the mode wraps it. The world is not asked: this program has no maps. */
static void wrapped(const struct mode *mode, const struct wire *inner, uint8_t tos,
		    struct frame *ret_frame)
{
	struct frame packet;
	struct wire outer = {
		.saddr = mode->backend6 ? place_ip6(2, 1) : ip_of(IPV4(10, 2, 0, 1)),
		.daddr = mode->backend6 ? place_ip6(2, 11) : ip_of(BACKEND_ADDR(1)),
		.proto = mode->client6 ? PROTO_IPV6 : PROTO_IPIP,
		.ttl = 63,
		.tos = tos,
		.df = true,
		.label = mode->backend6 ? 0x54321 : 0,
		.no_sum = true,
		.sport = 50000,
		.dport = GUE_DPORT,
	};

	wire_build(&packet, inner);
	outer.data = packet.bytes + ETH_LEN;
	outer.payload = (uint16_t)(packet.len - ETH_LEN);
	if (mode->forward == LB_FORWARD_GUE)
		outer.proto = LB_PROTO_UDP;
	memcpy(outer.dmac, inner->dmac, 6);
	memcpy(outer.smac, inner->smac, 6);
	wire_build(ret_frame, &outer);
}

static struct wire inner_of(const struct mode *mode, uint16_t payload)
{
	const struct wire wire = {
		.dmac = {2, 0, 0, 0, 9, 1},
		.smac = {2, 0, 0, 0, 9, 2},
		.saddr = mode->client6 ? place_ip6(0x1000, 7) : ip_of(CLIENT),
		.daddr = mode->client6 ? place_ip6(0x2000, 1) : ip_of(VIP),
		.proto = mode->proto,
		.ttl = 60,
		.df = true,
		.id = 4711,
		.label = mode->client6 ? 0xabcde : 0,
		.sport = CLIENT_PORT,
		.dport = VIP_PORT,
		.seq = 1,
		.ack = 2,
		.flags = ACK,
		.payload = payload,
		.fill = payload,
	};

	return wire;
}

static bool is_tunnel(const struct mode *mode)
{
	return mode->forward >= LB_FORWARD_IPIP;
}

static void decap(const struct frame *in, struct sent *ret_sent)
{
	expect_equal(run_program(world.decap, in, place_ifindex(BACKEND_SIDE), ret_sent), 0);
}

static void expect_out(const struct frame *in, const struct frame *expected)
{
	struct sent sent = {.verdict = LB_VERDICT_COUNT};

	decap(in, &sent);
	run_expect_frame(&sent, expected);
	expect_equal(sent.action, XDP_PASS);
}

static void every_pairing_is_unwrapped_byte_for_byte(void **state)
{
	static const uint16_t sizes[] = {0, 1, 2, 77, 1300};

	(void)state;
	for (uint32_t i = 0; i < n_modes * COUNT(sizes); i++) {
		const struct mode *mode = &modes[i / COUNT(sizes)];
		const struct wire inner = inner_of(mode, sizes[i % COUNT(sizes)]);
		struct frame in;
		struct frame expected;

		run_row("%s, %u bytes", mode->name, inner.payload);
		if (!is_tunnel(mode))
			continue;
		wrapped(mode, &inner, 0, &in);
		wire_build(&expected, &inner);
		expect_out(&in, &expected);
	}
}

/* RFC 6040 section 4.2, figure 4; 0 Not-ECT, 1 ECT(1), 2 ECT(0), 3 CE. */
static void congestion_marks_follow_rfc_6040(void **state)
{
	static const struct {
		uint8_t inner, outer, out;
		bool drop;
	} rows[] = {
		{0, 0, 0, false}, {0, 1, 0, false}, {0, 2, 0, false}, {0, 3, 0, true},
		{2, 0, 2, false}, {2, 1, 1, false}, {2, 2, 2, false}, {2, 3, 3, false},
		{1, 0, 1, false}, {1, 1, 1, false}, {1, 2, 1, false}, {1, 3, 3, false},
		{3, 0, 3, false}, {3, 1, 3, false}, {3, 2, 3, false}, {3, 3, 3, false},
	};

	(void)state;
	for (uint32_t i = 0; i < n_modes * COUNT(rows); i++) {
		const struct mode *mode = &modes[i / COUNT(rows)];
		uint32_t r = i % COUNT(rows);
		struct wire inner = inner_of(mode, 20);
		struct frame in;
		struct frame expected;
		struct sent sent;

		run_row("%s, %u in %u", mode->name, rows[r].inner, rows[r].outer);
		if (!is_tunnel(mode))
			continue;
		inner.tos = 0xb8 | rows[r].inner;
		wrapped(mode, &inner, 0x28 | rows[r].outer, &in);
		inner.tos = 0xb8 | rows[r].out;
		wire_build(&expected, &inner);
		if (!rows[r].drop) {
			expect_out(&in, &expected);
			continue;
		}
		decap(&in, &sent);
		expect_equal(sent.action, XDP_DROP);
	}
}

/* ---- What is no tunnel of ours ------------------------------------------------------------- */

struct garbage {
	const char *name;
	uint32_t at; /* in the outer header: from IPv4's, and from IPv6's begin */
	uint32_t at6;
	uint8_t value;
};

static void what_is_no_tunnel_passes_as_it_came(void **state)
{
	static const struct garbage rows[] = {
		{"another protocol", 9, 6, 47},
		{"TCP", 9, 6, 6},
		{"another version inside", IP_LEN, IP6_LEN, 0x50},
		{"version 0 inside", IP_LEN, IP6_LEN, 0},
		{"outer version", 0, 0, 0x10},
	};

	(void)state;
	for (uint32_t i = 0; i < n_modes * COUNT(rows); i++) {
		const struct mode *mode = &modes[i / COUNT(rows)];
		const struct garbage *row = &rows[i % COUNT(rows)];
		const struct wire inner = inner_of(mode, 20);
		uint32_t gue = mode->forward == LB_FORWARD_GUE ? UDP_LEN : 0;
		uint32_t at = mode->backend6 ? row->at6 : row->at;
		struct frame in;

		run_row("%s, %s", mode->name, row->name);
		if (!is_tunnel(mode))
			continue;
		wrapped(mode, &inner, 0, &in);
		in.bytes[ETH_LEN + at + (at >= IP_LEN ? gue : 0)] = row->value;
		expect_out(&in, &in);
	}
}

static void packet_without_a_tunnel_passes_as_it_came(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < n_modes; i++) {
		const struct wire inner = inner_of(&modes[i], 50);
		struct frame in;

		run_row("%s, bare", modes[i].name);
		wire_build(&in, &inner);
		expect_out(&in, &in);
	}
}

static void fragment_of_a_tunnel_is_left_to_the_stack(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < n_modes; i++) {
		const struct wire inner = inner_of(&modes[i], 50);
		struct frame in;

		run_row("%s, more fragments", modes[i].name);
		if (!is_tunnel(&modes[i]) || modes[i].backend6)
			continue;
		wrapped(&modes[i], &inner, 0, &in);
		in.bytes[ETH_LEN + 6] = 0x20;
		expect_out(&in, &in);
	}
}

/* Behind the inner IP header a cut is the stack's to find. */
static void tunnel_cut_at_any_length_does_no_harm(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < n_modes; i++) {
		const struct wire inner = inner_of(&modes[i], 20);
		struct frame in;
		struct frame bare;
		uint32_t outer;

		if (!is_tunnel(&modes[i]))
			continue;
		wrapped(&modes[i], &inner, 0, &in);
		wire_build(&bare, &inner);
		outer = in.len - bare.len;
		for (; in.len >= ETH_LEN; in.len--) {
			run_row("%s, %u bytes", modes[i].name, in.len);
			bare.len = in.len - outer;
			expect_out(&in, in.len >= outer + ETH_LEN + IP_LEN ? &bare : &in);
		}
	}
}

static void noise_passes_or_is_unwrapped(void **state)
{
	uint32_t seed = random_seed();

	(void)state;
	for (uint32_t i = 0; i < NOISE_FRAMES; i++) {
		const struct mode *mode = &modes[i % n_modes];
		const struct wire inner = inner_of(mode, 20);
		uint32_t changes = random_next(&seed) % 4 + 1;
		struct frame in;
		struct sent sent;

		run_row("frame %u, seed %u", i, seed);
		wrapped(mode, &inner, 0, &in);
		while (changes--)
			in.bytes[random_next(&seed) % in.len] = random_next(&seed) >> 9;
		in.len -= random_next(&seed) % 4 ? 0 : random_next(&seed) % (in.len - ETH_LEN);
		decap(&in, &sent);
		if (sent.action != XDP_PASS && sent.action != XDP_DROP)
			run_fail("action %d", sent.action);
		if (sent.action == XDP_PASS && sent.out.len == in.len)
			run_expect_frame(&sent, &in);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST_ON(every_pairing_is_unwrapped_byte_for_byte, xdp),
		TEST_ON(congestion_marks_follow_rfc_6040, xdp),
		TEST_ON(what_is_no_tunnel_passes_as_it_came, xdp),
		TEST_ON(packet_without_a_tunnel_passes_as_it_came, xdp),
		TEST_ON(fragment_of_a_tunnel_is_left_to_the_stack, xdp),
		TEST_ON(tunnel_cut_at_any_length_does_no_harm, xdp),
		TEST_ON(noise_passes_or_is_unwrapped, xdp),
	};

	(void)argc;
	return RUN_TESTS(tests, argv);
}
