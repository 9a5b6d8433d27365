/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Source ports of snat: the client's own if it is free, never one twice, rested before used again;
 * and the quota of half-open flows. */
#include <arpa/inet.h>
#include <string.h>

#include "conv.h"

#define COUNT(rows) (sizeof(rows) / sizeof(*(rows)))
#define NS_PER_S    1000000000ULL
#define FLOWS	    256
#define HALF	    LB_HALF_FLOWS(FLOWS)
#define FIRST	    30000 /* clients' ports */

static bool is_snat(const struct mode *mode)
{
	return mode->forward == LB_FORWARD_SNAT;
}

static struct conv begin(void **state, const struct mode *mode, const char *what)
{
	world_reset(state);
	run_row("%s, %s", mode->name, what);
	return conv_of(mode);
}

static void use_ports(uint16_t first, uint16_t n)
{
	world.snat[1].first_port = first;
	world.snat[1].n_ports = n;
}

/* Opens a flow for whichever port there is, and says which. */
static uint16_t open_anywhere(struct conv *conv, uint16_t client_port)
{
	const struct lb_flow *flow;
	struct frame in;
	struct sent sent;
	struct wire wire;

	conv->client_port = client_port;
	wire = conv_wire(conv, BY_CLIENT, SYN, 0);
	wire_build(&in, &wire);
	run_frame(&in, CLIENT_SIDE, &sent);
	run_expect_verdict(&sent, &in, LB_V_FORWARDED_NEW);
	flow = conv_flow(conv);
	if (!flow)
		run_fail("a new flow has no record");
	conv->source_port = ntohs(flow->source_port);
	return conv->source_port;
}

/* ---- Ports --------------------------------------------------------------------------------- */

static void clients_own_port_is_kept_when_it_is_free(void **state)
{
	static const struct {
		const char *name;
		uint16_t first, n, client, expected;
	} rows[] = {
		{"in the range", 20000, 20000, 30000, 30000},
		{"the first of it", 20000, 1000, 20000, 20000},
		{"the last of it", 20000, 1000, 20999, 20999},
		{"one before it", 20000, 1000, 19999, 20000},
		{"one behind it", 20000, 1000, 21000, 20000},
		{"the last port there is", 65000, 536, 65535, 65535},
	};

	for (uint32_t i = 0; i < n_modes * COUNT(rows); i++) {
		uint32_t r = i % COUNT(rows);
		struct conv conv = begin(state, &modes[i / COUNT(rows)], rows[r].name);

		if (!is_snat(conv.mode))
			continue;
		use_ports(rows[r].first, rows[r].n);
		conv.client_port = rows[r].client;
		conv.source_port = rows[r].expected;
		conv_open(&conv);
		conv_say(&conv, BY_BACKEND, ACK, 10, LB_V_REPLIED);
	}
}

static void no_port_is_given_to_two_flows(void **state)
{
	for (uint32_t i = 0; i < n_modes; i++) {
		struct conv conv = begin(state, &modes[i], "40 clients of one port");
		bool used[41] = {0};

		if (!is_snat(conv.mode))
			continue;
		use_ports(SNAT_FIRST, 41);
		for (uint16_t k = 0; k < 40; k++) {
			uint16_t port;

			conv.client.b[14] = (uint8_t)k;
			port = open_anywhere(&conv, CLIENT_PORT);
			expect_equal(port >= SNAT_FIRST && port <= SNAT_FIRST + 40, true);
			expect_equal(used[port - SNAT_FIRST], false);
			used[port - SNAT_FIRST] = true;
		}
		for (uint16_t k = 0; k < 40; k++) {
			conv.client.b[14] = (uint8_t)k;
			conv.source_port = ntohs(conv_flow(&conv)->source_port);
			conv_say(&conv, BY_BACKEND, SYN | ACK, 0, LB_V_REPLIED);
		}
	}
}

static void exhausted_ports_are_refused_and_leave_nothing(void **state)
{
	for (uint32_t i = 0; i < n_modes; i++) {
		struct conv conv = begin(state, &modes[i], "three ports, a fourth flow");
		struct frame in;
		struct sent sent;
		struct wire wire;

		if (!is_snat(conv.mode))
			continue;
		use_ports(SNAT_FIRST, 3);
		for (uint16_t k = 0; k < 3; k++)
			open_anywhere(&conv, FIRST + k);
		conv.client_port = FIRST + 3;
		wire = conv_wire(&conv, BY_CLIENT, SYN, 0);
		wire_build(&in, &wire);
		run_frame(&in, CLIENT_SIDE, &sent);
		run_expect_verdict(&sent, &in, LB_V_SNAT_EXHAUSTED);
		run_expect_way(&sent, &in, WAY_SAME);
		expect_equal(world.meta->live_flows, 3);
		expect_equal(world_index_count(), 3);
		expect_equal(world.live[1].pending_in - world.live[1].pending_out, 3);
	}
}

static void second_source_address_has_ports_of_its_own(void **state)
{
	for (uint32_t i = 0; i < n_modes; i++) {
		struct conv conv = begin(state, &modes[i], "two addresses of one port each");
		struct lb_service service = {
			.id = 1, .pool = 1, .forward = LB_FORWARD_SNAT, .snat = 1, .n_snat = 2};
		uint32_t rows = 0;

		if (!is_snat(conv.mode))
			continue;
		use_ports(SNAT_FIRST, 1);
		world.snat[2] = world.snat[1];
		world.snat[2].addr.b[15] ^= 0x40;
		world_listen(&service, &conv.vip, conv.vip_port, conv.mode->proto);
		for (uint16_t k = 0; k < 2; k++) {
			expect_equal(open_anywhere(&conv, FIRST + k), SNAT_FIRST);
			rows |= 1U << conv_flow(&conv)->snat;
		}
		expect_equal(rows, 1 << 1 | 1 << 2);
	}
}

/* ---- Rest ---------------------------------------------------------------------------------- */

static void end_by_fins(struct conv *conv)
{
	conv_say(conv, BY_CLIENT, ACK | FIN, 0, LB_V_FORWARDED);
	conv_say(conv, BY_BACKEND, ACK | FIN, 0, LB_V_REPLIED);
}

static void sweep_after(uint64_t seconds)
{
	world_age(seconds * NS_PER_S);
	world_sweep();
}

static void port_rests_unless_both_fins_were_seen(void **state)
{
	for (uint32_t i = 0; i < n_modes * 2; i++) {
		bool fins = i % 2;
		struct conv conv = begin(state, &modes[i / 2], fins ? "both FINs" : "silent");
		struct frame in;
		struct sent sent;
		struct wire wire;

		if (!is_snat(conv.mode) || (fins && conv.mode->proto == LB_PROTO_UDP))
			continue;
		use_ports(SNAT_FIRST, 1);
		conv_open(&conv);
		if (fins)
			end_by_fins(&conv);
		wire = conv_wire(&conv, BY_BACKEND, ACK, 10);
		world_timeouts(10 * NS_PER_S);
		world_timeout(LB_FLOW_RESTING, 60 * NS_PER_S);
		sweep_after(11);
		expect_live(1, &(struct counts){1, 1, 1, 1, 0});
		expect_equal(world_index_count(), fins ? 0 : 1);
		if (!fins) {
			wire_build(&in, &wire);
			run_frame(&in, BACKEND_SIDE, &sent);
			run_expect_verdict(&sent, &in, LB_V_NOT_OURS);
			conv.client_port++;
			wire = conv_wire(&conv, BY_CLIENT, SYN, 0);
			wire_build(&in, &wire);
			run_frame(&in, CLIENT_SIDE, &sent);
			run_expect_verdict(&sent, &in, LB_V_SNAT_EXHAUSTED);
			sweep_after(61);
		}
		expect_no_flow();
		expect_equal(open_anywhere(&conv, FIRST), SNAT_FIRST);
	}
}

/* ---- Half-open flows ----------------------------------------------------------------------- */

/* A flood of SYNs or first datagrams ends its own flows, oldest first, and no open one. */
static void flood_ends_the_oldest_half_open_flow_only(void **state)
{
	for (uint32_t i = 0; i < n_modes; i++) {
		struct conv conv = begin(state, &modes[i], "open ones, then a flood");
		struct conv open[8];

		use_ports(SNAT_FIRST, 20000);
		for (uint32_t k = 0; k < COUNT(open); k++) {
			open[k] = conv;
			open[k].client_port = (uint16_t)(FIRST + k);
			open[k].source_port = (uint16_t)(FIRST + k);
			conv_open(&open[k]);
		}
		for (uint32_t k = 0; k < 5 * HALF; k++) {
			conv.client_port = (uint16_t)(FIRST + 1000 + k);
			open_anywhere(&conv, conv.client_port);
			conv.client_port -= HALF;
			if (k >= HALF && conv_flow(&conv))
				run_fail("flow %u of the flood outlived %u later ones", k - HALF,
					 HALF);
			conv.client_port++;
			if (k >= HALF && !conv_flow(&conv))
				run_fail("flow %u of the flood went too early", k - HALF + 1);
		}
		expect_equal(world.meta->live_flows, HALF + COUNT(open));
		for (uint32_t k = 0; k < COUNT(open); k++)
			conv_say(&open[k], BY_CLIENT, ACK, 20, LB_V_FORWARDED);
		expect_equal(world.live[1].opened - world.live[1].closed, COUNT(open));
		expect_equal(world.live[1].pending_in - world.live[1].pending_out, HALF);
	}
}

/* Where no record is needed a packet goes by hash; elsewhere it is refused. */
static void full_table_sends_by_hash_where_it_can(void **state)
{
	for (uint32_t i = 0; i < n_modes; i++) {
		struct conv conv = begin(state, &modes[i], "table full");
		struct frame in;
		struct sent sent;
		struct wire wire;

		use_ports(SNAT_FIRST, 20000);
		for (uint16_t k = 0; k < FLOWS; k++) {
			struct conv open = conv;

			open.client_port = FIRST + k;
			open.source_port = FIRST + k;
			conv_open(&open);
		}
		conv.client_port = FIRST + FLOWS;
		wire = conv_wire(&conv, BY_CLIENT, SYN, 0);
		if (!conv_is_two_way(&conv)) {
			conv_send(&conv, BY_CLIENT, &wire, LB_V_UNTRACKED);
			conv_send(&conv, BY_CLIENT, &wire, LB_V_UNTRACKED);
			continue;
		}
		wire_build(&in, &wire);
		run_frame(&in, CLIENT_SIDE, &sent);
		run_expect_verdict(&sent, &in, LB_V_TABLE_FULL);
		run_expect_way(&sent, &in, WAY_SAME);
		expect_live(1, &(struct counts){FLOWS, 0, FLOWS, FLOWS, 0});
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(clients_own_port_is_kept_when_it_is_free),
		TEST(no_port_is_given_to_two_flows),
		TEST(exhausted_ports_are_refused_and_leave_nothing),
		TEST(second_source_address_has_ports_of_its_own),
		TEST(port_rests_unless_both_fins_were_seen),
		TEST(flood_ends_the_oldest_half_open_flow_only),
		TEST(full_table_sends_by_hash_where_it_can),
	};

	(void)argc;
	world_flows = FLOWS;
	return RUN_TESTS(tests, argv);
}
