/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Packets of every kind and mode cut at every length, and changed at random: each is counted once
 * by a verdict that there is, passes as it came or not at all, and leaves nothing behind.
 * LBD_TEST_MUTATIONS: how many in all, for a soak.
 */
#include <stdlib.h>
#include <string.h>

#include "conv.h"

#define MUTATIONS 100000
#define HOOKS	  2
#define KINDS	  10

struct corpus {
	struct frame frames[KINDS];
	enum side sides[KINDS];
};

/* ---- What is changed ----------------------------------------------------------------------- */

static struct wire error_wire(const struct conv *conv, struct frame *quoted)
{
	struct wire about = conv_wire(conv, BY_BACKEND, ACK, 20);
	const struct wire arriving = conv_wire(conv, BY_CLIENT, ACK, 0);
	struct wire error;

	conv_translate(conv, BY_BACKEND, &about);
	wire_error(&about, &about.daddr, 100, &error, quoted);
	error.type = wire_is_v6(&about) ? 1 : 3;
	error.code = 3;
	memcpy(error.dmac, arriving.dmac, 6);
	memcpy(error.smac, arriving.smac, 6);
	return error;
}

static void corpus_make(struct corpus *corpus, const struct conv *conv)
{
	struct wire wires[KINDS];
	struct frame quoted;

	for (uint32_t i = 0; i < KINDS; i++) {
		wires[i] = conv_wire(conv, i == 2 ? BY_BACKEND : BY_CLIENT, i ? ACK : SYN, 24);
		corpus->sides[i] = i == 2 ? BACKEND_SIDE : CLIENT_SIDE;
	}
	wires[3].cut_len = 24; /* a first fragment, and a later one */
	wires[4].cut_at = 24;
	wires[4].cut_len = 8;
	wires[5] = error_wire(conv, &quoted);
	wires[6].proto = conv->mode->client6 ? PROTO_ICMP6 : PROTO_ICMP;
	wires[6].type = conv->mode->client6 ? 128 : 8;
	wires[7].tags[0] = 5;
	wires[7].tags[1] = 6;
	wires[8].ip_options = conv->mode->client6 ? 0 : 8;
	wires[8].n_ext = conv->mode->client6 ? 2 : 0;
	wires[8].ext[1] = TO_OPTIONS;
	wires[9].flags = RST;
	for (uint32_t i = 0; i < KINDS; i++)
		wire_build(&corpus->frames[i], &wires[i]);
}

static void overwrite(struct frame *frame, uint32_t *seed)
{
	static const uint8_t favourites[] = {0x00, 0xff, 0x80, 0x7f, 0x01, 0x45, 0x60};
	uint32_t times = random_next(seed) % 4 + 1;

	while (times--) {
		uint32_t value = random_next(seed) >> 7;
		uint32_t at = random_next(seed) >> 5;

		/* Headers are where it matters. */
		at = random_next(seed) % 3 ? ETH_LEN - 2 + at % 64 : at;
		frame->bytes[at % frame->len] =
			value & 0x100 ? favourites[value % sizeof(favourites)] : value & 0xff;
	}
}

static void mutate(struct frame *frame, const struct corpus *corpus, uint32_t *seed)
{
	const struct frame *other = &corpus->frames[random_next(seed) % KINDS];
	uint32_t how = random_next(seed) >> 9 & 7;
	uint32_t at = ETH_LEN + (random_next(seed) >> 3) % (frame->len - ETH_LEN);

	if (how <= 4)
		overwrite(frame, seed);
	if (how == 4 || how == 5)
		frame->len = at;
	if (how == 6)
		frame->len += random_next(seed) % 64;
	if (how == 7 && other->len > at) {
		memcpy(frame->bytes + at, other->bytes + at, other->len - at);
		frame->len = other->len;
	}
}

/* ---- What must hold ------------------------------------------------------------------------ */

static bool is_passed(enum lb_verdict verdict)
{
	return verdict == LB_V_NOT_IP || verdict == LB_V_NOT_OURS || verdict == LB_V_NOT_HANDLED ||
	       verdict == LB_V_ICMP_UNKNOWN || verdict == LB_V_TTL_EXPIRED;
}

/* TC finds tags beside the frame; where one is in it, the kernel makes no room for a tunnel. */
static bool is_excused(const struct frame *in)
{
	uint16_t type = frame_get16(in, ETH_LEN - 2);

	return !world.hook->xdp && (type == 0x8100 || type == 0x88a8);
}

static void send_any(const struct frame *in, enum side side)
{
	struct sent sent;

	if (in->len < run_shortest(in))
		return;
	run_frame(in, side, &sent);
	if (sent.verdict == LB_V_INTERNAL && !is_excused(in)) {
		frame_print("in", in);
		run_fail("a frame got as far as internal");
	}
	if (!is_passed(sent.verdict))
		return;
	run_expect_way(&sent, in, WAY_NOTHING);
	run_expect_frame(&sent, in);
}

/* Two sweeps: a port of snat rests first. */
static void expect_nothing_left(void)
{
	world_timeouts(1);
	for (int i = 0; i < 2; i++) {
		world_age(1000000000);
		world_sweep();
	}
	expect_no_flow();
	expect_equal(world.live[1].opened, world.live[1].closed);
	expect_equal(world.live[1].pending_in, world.live[1].pending_out);
}

static void begin(void **state, const struct mode *mode, struct corpus *corpus)
{
	struct conv conv;

	world_reset(state);
	run_row("%s", mode->name);
	conv = conv_of(mode);
	conv_open(&conv);
	corpus_make(corpus, &conv);
}

static void packet_cut_at_any_length_does_no_harm(void **state)
{
	static struct corpus corpus;

	for (uint32_t i = 0; i < n_modes * KINDS; i++) {
		struct frame cut;

		begin(state, &modes[i / KINDS], &corpus);
		cut = corpus.frames[i % KINDS];
		for (; cut.len >= ETH_LEN; cut.len--) {
			run_row("%s, kind %u, %u bytes", modes[i / KINDS].name, i % KINDS, cut.len);
			send_any(&cut, corpus.sides[i % KINDS]);
		}
		expect_nothing_left();
	}
}

static uint32_t mutations(void)
{
	const char *text = getenv("LBD_TEST_MUTATIONS");

	return text ? (uint32_t)strtoul(text, NULL, 10) : MUTATIONS;
}

static void packet_changed_at_random_does_no_harm(void **state)
{
	static struct corpus corpus;
	uint32_t seed = random_seed();
	uint32_t each = mutations() / HOOKS / n_modes + 1;

	for (uint32_t i = 0; i < n_modes; i++) {
		begin(state, &modes[i], &corpus);
		for (uint32_t k = 0; k < each; k++) {
			uint32_t kind = random_next(&seed) % KINDS;
			struct frame in = corpus.frames[kind];

			run_row("%s, the %uth, seed %u", modes[i].name, k, seed);
			mutate(&in, &corpus, &seed);
			send_any(&in, random_next(&seed) % 8 ? corpus.sides[kind] : BACKEND_SIDE);
			/* Answers are limited: an empty bucket would hide them. */
			if (k % REPLY_BURST == 0)
				world_fill_bucket();
		}
		expect_nothing_left();
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(packet_cut_at_any_length_does_no_harm),
		TEST(packet_changed_at_random_does_no_harm),
	};

	(void)argc;
	world_flows = 1024;
	return RUN_TESTS(tests, argv);
}
