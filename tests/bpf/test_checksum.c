/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Checksums after a rewrite against sums over the whole packet, at random and at the carries. */
#include <string.h>

#include "talk.h"

#define COUNT(rows) (sizeof(rows) / sizeof(*(rows)))
#define TALKS	    600 /* each is seven packets */
#define EDGE_TALKS  12

#define IP_SUM_AT  (ETH_LEN + 10)
#define TCP_SUM_AT (ETH_LEN + IP_LEN + 16)

static uint32_t seed;

/* Not the networks of place.h, where next hops of their own are. */
static uint32_t random_client(void)
{
	uint32_t addr;

	do {
		addr = random_next(&seed);
	} while (addr >> 24 == 10 || addr >> 28 >= 14 || addr >> 24 == 127 || addr >> 24 == 0);
	return addr;
}

static struct talk random_talk(void)
{
	struct talk talk = {
		.client = random_client(),
		.vip = VIP,
		.backend = NET_FAR + (random_next(&seed) & 0xffff),
		.client_port = (uint16_t)random_next(&seed),
		.vip_port = VIP_PORT,
		.backend_port = (uint16_t)(random_next(&seed) % 65535 + 1),
		.seq_client = random_next(&seed),
		.seq_backend = random_next(&seed),
	};

	return talk;
}

static struct talk begin(void **state)
{
	struct talk talk = random_talk();
	uint16_t vip_port = (uint16_t)(random_next(&seed) % 65535 + 1);

	world_reset(state);
	talk.vip = random_client();
	talk.vip_port = vip_port;
	world_service(2, talk.vip, vip_port, 1, 0);
	world_backend(1, talk.backend, talk.backend_port, 1, ELIGIBLE);
	return talk;
}

static void random_connections_have_the_sums_of_whole_packets(void **state)
{
	seed = random_seed();
	for (int i = 0; i < TALKS; i++) {
		uint32_t this_seed = seed;
		struct talk talk = begin(state);

		run_row("talk %d, seed %u", i, this_seed);
		talk_open(&talk);
		for (int k = 0; k < 4; k++)
			talk_say(&talk, k % 2 ? BY_BACKEND : BY_CLIENT, ACK,
				 (uint16_t)(random_next(&seed) % 1461),
				 k % 2 ? LB_V_REPLIED : LB_V_FORWARDED);
	}
}

/* ---- Carries ------------------------------------------------------------------------------- */

enum place { TCP_IN, TCP_OUT, IP_IN, IP_OUT };

/* What to put into a halfword that is 0, so that a sum of <now> becomes <wanted>. */
static uint16_t halfword_for(uint16_t now, uint16_t wanted)
{
	uint32_t sum = now + (uint32_t)(uint16_t)~wanted;

	return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

/* The sum of <place> in the segment as it is, or as it leaves. */
static uint16_t sum_at(const struct talk *talk, const struct segment *segment, enum place place)
{
	struct segment out = *segment;
	struct frame frame;

	if (place == TCP_OUT || place == IP_OUT) {
		out.ttl--;
		out.daddr = talk->backend;
		out.dport = talk->backend_port;
	}
	frame_build(&frame, &out);
	return frame_get16(&frame, place <= TCP_OUT ? TCP_SUM_AT : IP_SUM_AT);
}

static void steer(const struct talk *talk, struct segment *segment, enum place place,
		  uint16_t wanted)
{
	uint16_t *free_word = place <= TCP_OUT ? &segment->window : &segment->id;
	uint16_t got;

	*free_word = 0;
	*free_word = halfword_for(sum_at(talk, segment, place), wanted);
	got = sum_at(talk, segment, place);
	if (got != wanted)
		run_fail("the test is wrong: wanted a sum of %04x, made %04x", wanted, got);
}

static void edge(void **state, const char *name, enum place place, uint16_t sum)
{
	for (int i = 0; i < EDGE_TALKS; i++) {
		uint32_t this_seed = seed;
		struct talk talk = begin(state);
		struct segment segment;

		run_row("%s %04x, seed %u", name, sum, this_seed);
		talk_open(&talk);
		segment = talk_segment(&talk, BY_CLIENT, ACK, (uint16_t)(i * 7));
		steer(&talk, &segment, place, sum);
		talk_send(&talk, BY_CLIENT, &segment, LB_V_FORWARDED);
	}
}

static void sums_at_the_edges_of_a_carry_are_right(void **state)
{
	/* ffff cannot be made: a sum of halfwords that are not all 0 is never 0. */
	static const uint16_t sums[] = {0x0000, 0x0001, 0x00ff, 0x0100, 0x7fff,
					0x8000, 0xff00, 0xfffd, 0xfffe};
	static const struct {
		const char *name;
		enum place place;
	} rows[] = {
		{"TCP sum in", TCP_IN},
		{"TCP sum out", TCP_OUT},
		{"IP sum in", IP_IN},
		{"IP sum out", IP_OUT},
	};

	seed = random_seed();
	for (size_t i = 0; i < COUNT(rows); i++)
		for (size_t k = 0; k < COUNT(sums); k++)
			edge(state, rows[i].name, rows[i].place, sums[k]);
}

/* ffff in the header means what 0000 means (RFC 1624 section 3): some senders write it. */
static void negative_zero_as_a_sum_becomes_a_right_one(void **state)
{
	static const struct {
		const char *name;
		enum place place;
		uint32_t at;
	} rows[] = {{"TCP", TCP_IN, TCP_SUM_AT}, {"IP", IP_IN, IP_SUM_AT}};

	seed = random_seed();
	for (size_t i = 0; i < COUNT(rows) * EDGE_TALKS; i++) {
		uint32_t this_seed = seed;
		struct talk talk = begin(state);
		struct segment segment;
		struct frame in;
		struct sent sent;

		run_row("%s, seed %u", rows[i % 2].name, this_seed);
		talk_open(&talk);
		segment = talk_segment(&talk, BY_CLIENT, ACK, 50);
		steer(&talk, &segment, rows[i % 2].place, 0);
		frame_build(&in, &segment);
		frame_put16(&in, rows[i % 2].at, 0xffff);
		run_frame(&in, CLIENT_SIDE, &sent);
		run_expect_verdict(&sent, &in, LB_V_FORWARDED);
		if (!frame_sums_right(&sent.out))
			run_fail("a checksum of what left does not verify");
	}
}

/* An update of the old sum keeps an error visible; a new sum over wrong bytes would hide it. */
static void damaged_packet_stays_damaged(void **state)
{
	static const struct {
		const char *name;
		uint32_t at;
	} rows[] = {
		{"in the data", ETH_LEN + IP_LEN + TCP_LEN + 10},
		{"in the TCP sum", TCP_SUM_AT},
		{"in the IP sum", IP_SUM_AT},
		{"in the IP identification", ETH_LEN + 4},
	};

	seed = random_seed();
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct talk talk = begin(state);
		struct segment segment;
		struct frame in;
		struct sent sent;

		run_row("%s", rows[i].name);
		talk_open(&talk);
		segment = talk_segment(&talk, BY_CLIENT, ACK, 50);
		frame_build(&in, &segment);
		in.bytes[rows[i].at] ^= 0x55;
		run_frame(&in, CLIENT_SIDE, &sent);
		run_expect_verdict(&sent, &in, LB_V_FORWARDED);
		if (frame_sums_right(&sent.out))
			run_fail("the damage cannot be seen any more");
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(random_connections_have_the_sums_of_whole_packets),
		TEST_ON(random_connections_have_the_sums_of_whole_packets, tc_complete),
		TEST(sums_at_the_edges_of_a_carry_are_right),
		TEST_ON(sums_at_the_edges_of_a_carry_are_right, tc_complete),
		TEST(negative_zero_as_a_sum_becomes_a_right_one),
		TEST(damaged_packet_stays_damaged),
	};

	(void)argc;
	return RUN_TESTS(tests, argv);
}
