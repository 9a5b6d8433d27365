/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Frames that are cut, that lie about themselves, that are noise, and that are somebody else's. */
#include <string.h>

#include "talk.h"

#define COUNT(rows)  (sizeof(rows) / sizeof(*(rows)))
#define NOISE_FRAMES 4000

#define IP_AT  ETH_LEN
#define TCP_AT (ETH_LEN + IP_LEN)

/* Sends and checks that the frame came out as it went in, or was dropped. */
static void expect_refused_or_untouched(const struct frame *in, enum side side,
					enum lb_verdict verdict)
{
	struct sent sent;

	run_frame(in, side, &sent);
	run_expect_verdict(&sent, in, verdict);
	if (verdict == LB_V_MALFORMED || verdict == LB_V_BAD_STATE) {
		run_expect_way(&sent, in, WAY_DROP);
		return;
	}
	run_expect_way(&sent, in, WAY_NOTHING);
	run_expect_frame(&sent, in);
}

static void expect_nothing_happened(void)
{
	expect_no_flow();
	expect_live(1, &(struct counts){0});
	for (uint32_t i = 0; i < world.n_records; i++)
		if (world.flows[i].word)
			run_fail("expected no record ever taken, record %u was", i);
}

/* ---- Cut short ----------------------------------------------------------------------------- */

/* <service>: the verdict once the ports are there. */
static enum lb_verdict verdict_of_cut(uint32_t len, uint32_t ip_options, enum lb_verdict service)
{
	if (len < ETH_LEN + IP_LEN)
		return LB_V_NOT_IP;
	return len < TCP_AT + ip_options + 4 ? LB_V_NOT_HANDLED : service;
}

static void syn_cut_at_any_length_opens_nothing(void **state)
{
	for (uint8_t options = 0; options <= 40; options += 20) {
		struct talk talk = talk_of(CLIENT_PORT);
		struct segment segment = talk_segment(&talk, BY_CLIENT, SYN, 30);
		struct frame whole;

		world_reset(state);
		segment.ip_options = options;
		frame_build(&whole, &segment);
		for (uint32_t len = run_shortest(&whole); len < whole.len; len++) {
			struct frame cut = whole;

			run_row("%u IP options, %u of %u bytes", options, len, whole.len);
			cut.len = len;
			expect_refused_or_untouched(&cut, CLIENT_SIDE,
						    verdict_of_cut(len, options, LB_V_MALFORMED));
			expect_nothing_happened();
		}
		run_row("%u IP options, the whole", options);
		talk_send(&talk, BY_CLIENT, &segment, LB_V_FORWARDED_NEW);
	}
}

static void cut_all(const struct talk *talk, enum speaker speaker, enum lb_verdict verdict)
{
	struct segment segment = talk_segment(talk, speaker, ACK | FIN, 30);
	const struct lb_flow before = *talk_flow(talk);
	struct frame whole;

	frame_build(&whole, &segment);
	for (uint32_t len = run_shortest(&whole); len < whole.len; len++) {
		struct frame cut = whole;

		run_row("by %s, %u of %u bytes", speaker == BY_CLIENT ? "client" : "backend", len,
			whole.len);
		cut.len = len;
		expect_refused_or_untouched(&cut, (enum side)speaker,
					    verdict_of_cut(len, 0, verdict));
		if (memcmp(&before, talk_flow(talk), sizeof(before)) != 0)
			run_fail("the flow's record changed");
	}
}

static void packet_of_an_open_flow_cut_at_any_length_changes_nothing(void **state)
{
	struct talk talk = talk_of(CLIENT_PORT);

	(void)state;
	run_row("handshake");
	talk_open(&talk);
	cut_all(&talk, BY_CLIENT, LB_V_MALFORMED);
	cut_all(&talk, BY_BACKEND, LB_V_NOT_HANDLED);
	expect_live(1, &(struct counts){1, 0, 1, 1, 0});
	talk_say(&talk, BY_CLIENT, ACK | FIN, 30, LB_V_FORWARDED);
}

/* ---- Lies ---------------------------------------------------------------------------------- */

struct lie {
	const char *name;
	uint32_t at;
	uint16_t value;
	uint16_t mask; /* bits of the halfword that are set to <value> */
	enum lb_verdict verdict;
};

/* A SYN here is 20 + 40 bytes: TCP options, no data. */
static const struct lie lies[] = {
	{"version 0", IP_AT, 0x0000, 0xf000, LB_V_NOT_IP},
	{"version 6", IP_AT, 0x6000, 0xf000, LB_V_NOT_IP},
	{"header length 0", IP_AT, 0x0000, 0x0f00, LB_V_NOT_IP},
	{"header length 4", IP_AT, 0x0400, 0x0f00, LB_V_NOT_IP},
	{"header length past the end", IP_AT, 0x0f00, 0x0f00, LB_V_NOT_HANDLED},
	{"total length 0", IP_AT + 2, 0, 0xffff, LB_V_MALFORMED},
	{"total length of half an IP header", IP_AT + 2, 10, 0xffff, LB_V_MALFORMED},
	{"total length of an IP header", IP_AT + 2, 20, 0xffff, LB_V_MALFORMED},
	{"total length one short of a TCP header", IP_AT + 2, 39, 0xffff, LB_V_MALFORMED},
	{"total length one short of the TCP options", IP_AT + 2, 59, 0xffff, LB_V_MALFORMED},
	{"total length one more than there is", IP_AT + 2, 61, 0xffff, LB_V_MALFORMED},
	{"total length 65535", IP_AT + 2, 0xffff, 0xffff, LB_V_MALFORMED},
	{"data offset 0", TCP_AT + 12, 0x0000, 0xf000, LB_V_MALFORMED},
	{"data offset 4", TCP_AT + 12, 0x4000, 0xf000, LB_V_MALFORMED},
	{"data offset one word past the end", TCP_AT + 12, 0xb000, 0xf000, LB_V_MALFORMED},
	{"data offset 15", TCP_AT + 12, 0xf000, 0xf000, LB_V_MALFORMED},
};

static void tell(struct frame *frame, const struct lie *lie)
{
	uint16_t old = frame_get16(frame, lie->at);

	frame_put16(frame, lie->at, (uint16_t)((old & ~lie->mask) | lie->value));
}

static void syn_that_lies_opens_nothing(void **state)
{
	struct talk talk = talk_of(CLIENT_PORT);
	struct segment segment = talk_segment(&talk, BY_CLIENT, SYN, 0);

	(void)state;
	for (size_t i = 0; i < COUNT(lies); i++) {
		struct frame in;

		run_row("%s", lies[i].name);
		frame_build(&in, &segment);
		tell(&in, &lies[i]);
		expect_refused_or_untouched(&in, CLIENT_SIDE, lies[i].verdict);
		expect_nothing_happened();
	}
}

static void packet_of_an_open_flow_that_lies_changes_nothing(void **state)
{
	struct talk talk = talk_of(CLIENT_PORT);
	struct lb_flow before;

	(void)state;
	talk_open(&talk);
	before = *talk_flow(&talk);
	for (size_t i = 0; i < 2 * COUNT(lies); i++) {
		enum speaker speaker = i % 2 ? BY_BACKEND : BY_CLIENT;
		struct segment segment = talk_segment(&talk, speaker, ACK | RST, 0);
		enum lb_verdict verdict = lies[i / 2].verdict;
		struct frame in;

		run_row("%s, %s", lies[i / 2].name, i % 2 ? "backend" : "client");
		segment.tcp_options = 20;
		frame_build(&in, &segment);
		tell(&in, &lies[i / 2]);
		if (speaker == BY_BACKEND && verdict == LB_V_MALFORMED)
			verdict = LB_V_NOT_HANDLED;
		expect_refused_or_untouched(&in, (enum side)speaker, verdict);
		if (memcmp(&before, talk_flow(&talk), sizeof(before)) != 0)
			run_fail("the flow's record changed");
	}
	expect_live(1, &(struct counts){1, 0, 1, 1, 0});
}

/* Ethernet's 60 bytes at least: what follows the IP packet is nobody's, and no lie. */
static void padding_of_a_short_frame_passes_along(void **state)
{
	struct talk talk = talk_of(CLIENT_PORT);
	struct segment segment;
	struct segment out;
	struct frame in, expected;
	struct sent sent;
	struct hop hop;

	(void)state;
	run_row("54 bytes in 60");
	talk_open(&talk);
	segment = talk_segment(&talk, BY_CLIENT, ACK, 0);
	out = segment;
	out.daddr = talk.backend;
	out.dport = talk.backend_port;
	out.ttl--;
	place_hop(out.daddr, &hop);
	memcpy(out.dmac, hop.dmac, 6);
	memcpy(out.smac, hop.smac, 6);
	frame_build(&in, &segment);
	frame_build(&expected, &out);
	memset(in.bytes + in.len, 0xa5, 6);
	memset(expected.bytes + in.len, 0xa5, 6);
	in.len = 60;
	expected.len = 60;
	run_frame(&in, CLIENT_SIDE, &sent);
	run_expect_verdict(&sent, &in, LB_V_FORWARDED);
	run_expect_frame(&sent, &expected);
}

/* ---- Somebody else's ----------------------------------------------------------------------- */

static void what_is_not_ours_passes_untouched(void **state)
{
	static const struct lie rows[] = {
		{"ARP", 12, 0x0806, 0xffff, LB_V_NOT_IP},
		{"IPv6 that is IPv4 inside", 12, 0x86dd, 0xffff, LB_V_NOT_IP},
		{"a VLAN tag", 12, 0x8100, 0xffff, LB_V_NOT_IP},
		{"a service tag", 12, 0x88a8, 0xffff, LB_V_NOT_IP},
		{"MPLS", 12, 0x8847, 0xffff, LB_V_NOT_IP},
		{"802.3 with a length", 12, 0x0040, 0xffff, LB_V_NOT_IP},
		{"UDP of no service and no length", IP_AT + 8, 17, 0x00ff, LB_V_NOT_HANDLED},
		{"ICMP that is no error and no echo", IP_AT + 8, 1, 0x00ff, LB_V_NOT_HANDLED},
		{"SCTP", IP_AT + 8, 132, 0x00ff, LB_V_NOT_HANDLED},
		{"protocol 0", IP_AT + 8, 0, 0x00ff, LB_V_NOT_HANDLED},
		{"another port", TCP_AT + 2, 81, 0xffff, LB_V_NOT_OURS},
		{"port 0", TCP_AT + 2, 0, 0xffff, LB_V_NOT_OURS},
		{"another address", IP_AT + 18, 0x0202, 0xffff, LB_V_NOT_OURS},
		{"a multicast address", IP_AT + 16, 0xe000, 0xffff, LB_V_NOT_OURS},
	};
	static const uint8_t flags[] = {SYN, ACK, RST, ACK | FIN};
	struct talk talk = talk_of(CLIENT_PORT);

	(void)state;
	for (size_t i = 0; i < COUNT(rows) * COUNT(flags); i++) {
		struct segment segment =
			talk_segment(&talk, BY_CLIENT, flags[i % COUNT(flags)], 20);
		struct frame in;

		run_row("%s, flags %02x", rows[i / COUNT(flags)].name, segment.flags);
		frame_build(&in, &segment);
		tell(&in, &rows[i / COUNT(flags)]);
		expect_refused_or_untouched(&in, CLIENT_SIDE, rows[i / COUNT(flags)].verdict);
		expect_nothing_happened();
	}
}

/* A key is compared whole: one bit elsewhere is another connection. */
static void neighbour_of_an_open_flow_is_not_its_packet(void **state)
{
	static const struct {
		const char *name;
		enum speaker speaker;
		uint32_t at;
		enum lb_verdict verdict;
	} rows[] = {
		{"client address", BY_CLIENT, IP_AT + 15, LB_V_NO_FLOW},
		{"client port", BY_CLIENT, TCP_AT + 1, LB_V_NO_FLOW},
		{"service address", BY_CLIENT, IP_AT + 19, LB_V_NOT_OURS},
		{"service port", BY_CLIENT, TCP_AT + 3, LB_V_NOT_OURS},
		{"backend address", BY_BACKEND, IP_AT + 15, LB_V_NOT_OURS},
		{"backend port", BY_BACKEND, TCP_AT + 1, LB_V_NOT_OURS},
		{"client address of a reply", BY_BACKEND, IP_AT + 19, LB_V_NOT_OURS},
		{"client port of a reply", BY_BACKEND, TCP_AT + 3, LB_V_NOT_OURS},
	};
	struct talk talk = talk_of(CLIENT_PORT);
	struct lb_flow before;

	(void)state;
	talk_open(&talk);
	before = *talk_flow(&talk);
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct segment segment = talk_segment(&talk, rows[i].speaker, ACK | FIN, 20);
		struct frame in;
		struct sent sent;

		run_row("%s", rows[i].name);
		frame_build(&in, &segment);
		in.bytes[rows[i].at] ^= 1;
		run_frame(&in, (enum side)rows[i].speaker, &sent);
		run_expect_verdict(&sent, &in, rows[i].verdict);
		if (memcmp(&before, talk_flow(&talk), sizeof(before)) != 0)
			run_fail("the flow's record changed");
	}
}

/* ---- Noise --------------------------------------------------------------------------------- */

static void spoil(struct frame *frame, uint32_t *seed)
{
	uint32_t flips = random_next(seed) % 4 + 1;

	while (flips--)
		frame->bytes[random_next(seed) % frame->len] = random_next(seed) >> 9;
	if (random_next(seed) % 4 == 0)
		frame->len = ETH_LEN + random_next(seed) % (frame->len - ETH_LEN);
}

static void make_noise(struct frame *frame, uint32_t *seed)
{
	struct talk talk = talk_of((uint16_t)(random_next(seed) % 8));
	struct segment segment = talk_segment(&talk, random_next(seed) % 2 ? BY_CLIENT : BY_BACKEND,
					      random_next(seed) >> 7, random_next(seed) % 40);

	segment.ip_options = random_next(seed) % 3 * 4;
	frame_build(frame, &segment);
	if (random_next(seed) % 4) {
		spoil(frame, seed);
		return;
	}
	frame->len = ETH_LEN + random_next(seed) % 200;
	for (uint32_t i = 12; i < frame->len; i++)
		frame->bytes[i] = random_next(seed) >> 9;
	if (random_next(seed) % 2 && frame->len > IP_AT)
		memcpy(frame->bytes + 12, "\x08\x00\x45", 3);
}

static bool is_passed_untouched(enum lb_verdict verdict)
{
	return verdict == LB_V_NOT_IP || verdict == LB_V_NOT_OURS || verdict == LB_V_NOT_HANDLED ||
	       verdict == LB_V_ICMP_UNKNOWN || verdict == LB_V_TTL_EXPIRED;
}

static void noise_is_counted_once_and_leaves_nothing_behind(void **state)
{
	uint32_t seed = random_seed();

	(void)state;
	for (int i = 0; i < NOISE_FRAMES; i++) {
		struct frame in;
		struct sent sent;

		run_row("frame %d, seed %u", i, seed);
		make_noise(&in, &seed);
		if (in.len < run_shortest(&in))
			continue;
		run_frame(&in, random_next(&seed) % 2 ? CLIENT_SIDE : BACKEND_SIDE, &sent);
		if (sent.verdict == LB_V_INTERNAL)
			run_fail("a frame got as far as internal");
		if (is_passed_untouched(sent.verdict)) {
			run_expect_way(&sent, &in, WAY_NOTHING);
			run_expect_frame(&sent, &in);
		}
	}
	world_timeouts(1);
	world_age(1000000000);
	world_sweep();
	expect_no_flow();
	expect_equal(world.live[1].opened, world.live[1].closed);
	expect_equal(world.live[1].pending_in, world.live[1].pending_out);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(syn_cut_at_any_length_opens_nothing),
		TEST(packet_of_an_open_flow_cut_at_any_length_changes_nothing),
		TEST(syn_that_lies_opens_nothing),
		TEST(packet_of_an_open_flow_that_lies_changes_nothing),
		TEST(padding_of_a_short_frame_passes_along),
		TEST(what_is_not_ours_passes_untouched),
		TEST(neighbour_of_an_open_flow_is_not_its_packet),
		TEST(noise_is_counted_once_and_leaves_nothing_behind),
	};

	(void)argc;
	return RUN_TESTS(tests, argv);
}
