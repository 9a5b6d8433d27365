/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* ICMP: errors about flows, to the side that caused them; echo to a service's address. */
#include <arpa/inet.h>
#include <string.h>

#include "conv.h"

#define COUNT(rows) (sizeof(rows) / sizeof(*(rows)))
#define WHOLE	    0xffff
#define L4_LEAST    8 /* bytes of a quote behind its IP header (RFC 792) */

struct kind {
	const char *name;
	uint8_t type, code;   /* IPv4 */
	uint8_t type6, code6; /* IPv6 */
	uint32_t rest;
};

static const struct kind kinds[] = {
	{"port unreachable", 3, 3, 1, 4, 0},   {"host unreachable", 3, 1, 1, 3, 0},
	{"too big", 3, 4, 2, 0, 1300},	       {"time exceeded", 11, 0, 3, 0, 0},
	{"parameter problem", 12, 0, 4, 0, 0},
};

static struct conv begin(void **state, const struct mode *mode, const char *what)
{
	struct conv conv;

	world_reset(state);
	run_row("%s, %s", mode->name, what);
	conv = conv_of(mode);
	conv_open(&conv);
	return conv;
}

static enum speaker other(enum speaker speaker)
{
	return speaker == BY_CLIENT ? BY_BACKEND : BY_CLIENT;
}

/* What the side got last from the balancer. */
static struct wire received(const struct conv *conv, enum speaker by)
{
	struct wire wire = conv_wire(conv, other(by), ACK, 40);

	conv_translate(conv, other(by), &wire);
	wire.ttl--;
	return wire;
}

/* The error that <by> sends about it, as it arrives. */
struct error {
	struct wire wire;
	struct frame quoted;
};

static void error_of(const struct conv *conv, enum speaker by, const struct kind *kind,
		     bool by_router, uint16_t quote, struct error *ret_error)
{
	const struct wire about = received(conv, by);
	const struct wire arriving = conv_wire(conv, by, ACK, 0);
	bool v6 = wire_is_v6(&about);
	struct lb_ip router = v6 ? place_ip6(0x3000, 3) : ip_of(IPV4(203, 0, 113, 3));
	uint32_t len = quote == WHOLE ? WHOLE : (v6 ? IP6_LEN : IP_LEN) + (uint32_t)quote;
	struct wire *wire = &ret_error->wire;

	wire_error(&about, by_router ? &router : &about.daddr, len, wire, &ret_error->quoted);
	wire->type = v6 ? kind->type6 : kind->type;
	wire->code = v6 ? kind->code6 : kind->code;
	wire->rest = kind->rest;
	memcpy(wire->dmac, arriving.dmac, 6);
	memcpy(wire->smac, arriving.smac, 6);
}

/* As the other side must get it: about what it sent itself. */
static void expected_of(const struct conv *conv, enum speaker by, const struct error *error,
			bool by_router, struct frame *ret_out)
{
	struct wire sent = conv_wire(conv, other(by), ACK, 40);
	struct wire out = error->wire;
	struct frame quoted;
	struct hop hop;

	sent.ttl--;
	wire_build(&quoted, &sent);
	out.data = quoted.bytes + wire_l2_len(&sent);
	out.ttl--;
	out.daddr = sent.saddr;
	if (!by_router)
		out.saddr = sent.daddr;
	place_hop_ip(&out.daddr, &hop);
	memcpy(out.dmac, hop.dmac, 6);
	memcpy(out.smac, hop.smac, 6);
	wire_build(ret_out, &out);
}

static void expect_forwarded(const struct conv *conv, enum speaker by, const struct error *error,
			     bool by_router)
{
	struct frame in;
	struct frame expected;
	struct sent sent;

	wire_build(&in, &error->wire);
	run_frame(&in, (enum side)by, &sent);
	run_expect_verdict(&sent, &in, LB_V_ICMP_FORWARDED);
	if (conv_is_two_way(conv))
		expected_of(conv, by, error, by_router, &expected);
	else
		conv_expected(conv, by, &error->wire, &sent.out, &expected);
	run_expect_frame(&sent, &expected);
	run_expect_way(&sent, &in, WAY_OTHER);
}

/* ---- Errors -------------------------------------------------------------------------------- */

static void errors_of_one_mode(const struct conv *conv, enum speaker by)
{
	static const uint16_t quotes[] = {L4_LEAST, L4_LEAST + 13, WHOLE};

	for (uint32_t i = 0; i < COUNT(kinds) * COUNT(quotes) * 2; i++) {
		const struct kind *kind = &kinds[i % COUNT(kinds)];
		uint16_t quote = quotes[i / COUNT(kinds) % COUNT(quotes)];
		bool by_router = i / COUNT(kinds) / COUNT(quotes);
		struct error error;

		run_row("%s, %s by %s of the %s, quote %u", conv->mode->name, kind->name,
			by_router ? "a router" : "the end", by == BY_CLIENT ? "client" : "backend",
			quote);
		error_of(conv, by, kind, by_router, quote, &error);
		expect_forwarded(conv, by, &error, by_router);
	}
}

static void error_of_a_client_reaches_the_backend(void **state)
{
	for (uint32_t i = 0; i < n_modes; i++) {
		const struct conv conv = begin(state, &modes[i], "open");

		errors_of_one_mode(&conv, BY_CLIENT);
	}
}

static void error_of_a_backend_reaches_the_client(void **state)
{
	for (uint32_t i = 0; i < n_modes; i++) {
		const struct conv conv = begin(state, &modes[i], "open");

		if (conv_is_two_way(&conv))
			errors_of_one_mode(&conv, BY_BACKEND);
	}
}

/* Sends what must come out as it went in. */
static void expect_passed(const struct frame *in, enum side side, enum lb_verdict verdict)
{
	struct sent sent;

	run_frame(in, side, &sent);
	run_expect_verdict(&sent, in, verdict);
	run_expect_way(&sent, in, WAY_NOTHING);
	run_expect_frame(&sent, in);
}

static void error_that_no_flow_is_told_by_passes_untouched(void **state)
{
	static const struct {
		const char *name;
		uint16_t quote;
		bool client; /* another one */
		uint8_t ttl;
		enum lb_verdict verdict;
	} rows[] = {
		{"about another client", WHOLE, true, 64, LB_V_ICMP_UNKNOWN},
		{"7 bytes of the quoted header", 7, false, 64, LB_V_ICMP_UNKNOWN},
		{"no byte of it", 0, false, 64, LB_V_ICMP_UNKNOWN},
		{"hop limit 1", WHOLE, false, 1, LB_V_TTL_EXPIRED},
	};

	for (uint32_t i = 0; i < n_modes * COUNT(rows); i++) {
		uint32_t r = i % COUNT(rows);
		struct conv conv = begin(state, &modes[i / COUNT(rows)], rows[r].name);
		struct error error;
		struct frame in;

		conv.client_port += rows[r].client;
		error_of(&conv, BY_CLIENT, &kinds[0], true, rows[r].quote, &error);
		error.wire.ttl = rows[r].ttl;
		wire_build(&in, &error.wire);
		expect_passed(&in, CLIENT_SIDE, rows[r].verdict);
	}
}

/* RFC 1122 section 3.2.2: nothing is sent about an error. */
static void error_about_a_killed_flow_is_never_answered(void **state)
{
	for (uint32_t i = 0; i < n_modes; i++) {
		struct conv conv = begin(state, &modes[i], "killed");
		struct error error;
		struct frame in;
		struct sent sent;

		world.backends[1].flags |= LB_BACKEND_KILL;
		error_of(&conv, BY_CLIENT, &kinds[0], true, WHOLE, &error);
		wire_build(&in, &error.wire);
		run_frame(&in, CLIENT_SIDE, &sent);
		run_expect_verdict(&sent, &in,
				   conv_is_two_way(&conv) ? LB_V_ICMP_FORWARDED : LB_V_FLOW_KILLED);
		run_expect_way(&sent, &in, conv_is_two_way(&conv) ? WAY_OTHER : WAY_DROP);
	}
}

static void error_does_not_move_its_flow(void **state)
{
	for (uint32_t i = 0; i < n_modes; i++) {
		struct conv conv = begin(state, &modes[i], "state and numbers");
		const struct lb_flow before = *conv_flow(&conv);
		struct lb_flow *flow;
		struct error error;

		error_of(&conv, BY_CLIENT, &kinds[0], true, WHOLE, &error);
		expect_forwarded(&conv, BY_CLIENT, &error, true);
		flow = conv_flow(&conv);
		expect_equal(flow->word, before.word);
		expect_equal(flow->seq_client, before.seq_client);
		expect_equal(flow->seq_backend, before.seq_backend);
		expect_live(1, &(struct counts){1, 0, 1, 1, 0});
	}
}

/* ---- Echo ---------------------------------------------------------------------------------- */

static struct wire echo_to(const struct conv *conv, uint8_t ttl, uint16_t payload)
{
	struct wire wire = conv_wire(conv, BY_CLIENT, 0, payload);

	wire.proto = conv->mode->client6 ? PROTO_ICMP6 : PROTO_ICMP;
	wire.type = conv->mode->client6 ? 128 : 8;
	wire.rest = 0x12340001;
	wire.ttl = ttl;
	return wire;
}

static struct wire echo_reply(const struct wire *echo)
{
	struct wire reply = *echo;

	reply.type = echo->type == 8 ? 0 : 129;
	reply.ttl = 64;
	reply.saddr = echo->daddr;
	reply.daddr = echo->saddr;
	memcpy(reply.dmac, echo->smac, 6);
	memcpy(reply.smac, echo->dmac, 6);
	return reply;
}

static void echo_to_a_service_is_answered(void **state)
{
	static const uint8_t ttls[] = {1, 2, 64, 255};
	static const uint16_t sizes[] = {0, 1, 56, 1400};

	for (uint32_t i = 0; i < n_modes * COUNT(ttls); i++) {
		uint32_t r = i % COUNT(ttls);
		struct conv conv = begin(state, &modes[i / COUNT(ttls)], "echo");
		const struct wire echo = echo_to(&conv, ttls[r], sizes[r]);
		const struct wire reply = echo_reply(&echo);

		run_row("%s, hop limit %u, %u bytes", conv.mode->name, ttls[r], sizes[r]);
		conv_expect_answer(&echo, CLIENT_SIDE, LB_V_ECHO, &reply);
	}
}

static void other_messages_pass_untouched(void **state)
{
	static const struct {
		const char *name;
		uint8_t type, type6;
		bool elsewhere;
		enum lb_verdict verdict;
	} rows[] = {
		{"echo to no service", 8, 128, true, LB_V_NOT_OURS},
		{"echo reply", 0, 129, false, LB_V_NOT_HANDLED},
		{"router solicitation", 10, 133, false, LB_V_NOT_HANDLED},
		{"neighbour solicitation", 13, 135, false, LB_V_NOT_HANDLED},
		{"neighbour advertisement", 14, 136, false, LB_V_NOT_HANDLED},
		{"redirect", 5, 137, false, LB_V_NOT_HANDLED},
	};

	for (uint32_t i = 0; i < n_modes * COUNT(rows); i++) {
		uint32_t r = i % COUNT(rows);
		struct conv conv = begin(state, &modes[i / COUNT(rows)], rows[r].name);
		struct wire echo = echo_to(&conv, 255, 20);
		struct frame in;

		echo.type = conv.mode->client6 ? rows[r].type6 : rows[r].type;
		if (rows[r].elsewhere)
			echo.daddr.b[15] ^= 0x40;
		wire_build(&in, &echo);
		expect_passed(&in, CLIENT_SIDE, rows[r].verdict);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(error_of_a_client_reaches_the_backend),
		TEST_ON(error_of_a_client_reaches_the_backend, tc_complete),
		TEST(error_of_a_backend_reaches_the_client),
		TEST_ON(error_of_a_backend_reaches_the_client, tc_complete),
		TEST(error_that_no_flow_is_told_by_passes_untouched),
		TEST(error_about_a_killed_flow_is_never_answered),
		TEST(error_does_not_move_its_flow),
		TEST(echo_to_a_service_is_answered),
		TEST_ON(echo_to_a_service_is_answered, tc_complete),
		TEST(other_messages_pass_untouched),
	};

	(void)argc;
	return RUN_TESTS(tests, argv);
}
