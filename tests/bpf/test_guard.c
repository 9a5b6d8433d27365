/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Who may open a flow: prefixes allowed and denied, and how many a source may open. */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <string.h>

#include "conv.h"
#include "load.h"

#define COUNT(rows) (sizeof(rows) / sizeof(*(rows)))
#define RATE	    5
#define NS_PER_S    1000000000ULL

static struct lb_service service_of(const struct conv *conv)
{
	const struct lb_service service = {.id = 1,
					   .pool = 1,
					   .forward = (uint8_t)conv->mode->forward,
					   .snat = 1,
					   .n_snat = 1};

	return service;
}

static void listen_as(const struct conv *conv, const struct lb_service *service)
{
	world_listen(service, &conv->vip, conv->vip_port, conv->mode->proto);
}

/* Sends what opens a flow; a packet kept out is dropped and leaves nothing. */
static void expect_open(const struct conv *conv, enum lb_verdict verdict)
{
	const struct wire wire = conv_wire(conv, BY_CLIENT, SYN, 0);
	uint64_t flows = world.meta->live_flows;
	struct frame in;
	struct sent sent;

	wire_build(&in, &wire);
	run_frame(&in, CLIENT_SIDE, &sent);
	run_expect_verdict(&sent, &in, verdict);
	if (verdict == LB_V_FORWARDED_NEW)
		return;
	run_expect_way(&sent, &in, WAY_DROP);
	expect_equal(world.meta->live_flows, flows);
}

/* ---- Prefixes ------------------------------------------------------------------------------ */

/* <bits> of the client's own family. */
static void prefix(const struct conv *conv, uint32_t service, uint32_t bits, uint32_t what)
{
	struct lb_prefix_key key = {
		.bits = 32 + bits + (conv->mode->client6 ? 0 : 96),
		.service = htonl(service),
		.addr = conv->client,
	};

	expect_equal(bpf_map_update_elem(world.prefixes, &key, &what, BPF_ANY), 0);
}

static void longest_prefix_decides_who_may_open_a_flow(void **state)
{
	static const struct {
		const char *name;
		uint32_t flags;
		uint32_t deny, allow; /* bits from the end of the address, 0: none */
		uint32_t service;
		enum lb_verdict verdict;
	} rows[] = {
		{"denied alone", LB_SERVICE_PREFIXES, 1, 0, 1, LB_V_DENIED},
		{"denied with its neighbours", LB_SERVICE_PREFIXES, 9, 0, 1, LB_V_DENIED},
		{"denied, but allowed alone", LB_SERVICE_PREFIXES, 9, 1, 1, LB_V_FORWARDED_NEW},
		{"allowed, but denied alone", LB_SERVICE_PREFIXES, 1, 9, 1, LB_V_DENIED},
		{"another service's", LB_SERVICE_PREFIXES, 1, 0, 2, LB_V_FORWARDED_NEW},
		{"none, and none needed", LB_SERVICE_PREFIXES, 0, 0, 1, LB_V_FORWARDED_NEW},
		{"none, and one needed", LB_SERVICE_PREFIXES | LB_SERVICE_ALLOW_ONLY, 0, 0, 1,
		 LB_V_DENIED},
		{"allowed, and that needed", LB_SERVICE_PREFIXES | LB_SERVICE_ALLOW_ONLY, 0, 9, 1,
		 LB_V_FORWARDED_NEW},
		{"another service's, and one needed", LB_SERVICE_PREFIXES | LB_SERVICE_ALLOW_ONLY,
		 0, 9, 2, LB_V_DENIED},
	};

	for (uint32_t i = 0; i < n_modes * COUNT(rows); i++) {
		const struct mode *mode = &modes[i / COUNT(rows)];
		uint32_t r = i % COUNT(rows);
		uint32_t most = mode->client6 ? 129 : 33;
		struct lb_service service;
		struct conv conv;

		world_reset(state);
		run_row("%s, %s", mode->name, rows[r].name);
		conv = conv_of(mode);
		service = service_of(&conv);
		service.flags = rows[r].flags;
		listen_as(&conv, &service);
		if (rows[r].deny)
			prefix(&conv, rows[r].service, most - rows[r].deny, LB_PREFIX_DENY);
		if (rows[r].allow)
			prefix(&conv, rows[r].service, most - rows[r].allow, LB_PREFIX_ALLOW);
		expect_open(&conv, rows[r].verdict);
	}
}

static void denied_source_keeps_the_flows_it_has(void **state)
{
	for (uint32_t i = 0; i < n_modes; i++) {
		struct lb_service service;
		struct conv conv;

		world_reset(state);
		run_row("%s", modes[i].name);
		conv = conv_of(&modes[i]);
		conv_open(&conv);
		service = service_of(&conv);
		service.flags = LB_SERVICE_PREFIXES;
		listen_as(&conv, &service);
		prefix(&conv, 1, modes[i].client6 ? 128 : 32, LB_PREFIX_DENY);
		conv_say(&conv, BY_CLIENT, ACK, 10, LB_V_FORWARDED);
		conv.client_port++;
		expect_open(&conv, LB_V_DENIED);
	}
}

/* ---- Rate ---------------------------------------------------------------------------------- */

#define CELLS 65536 /* of lb_rates */

static void forget_sources(void)
{
	static uint32_t keys[CELLS];
	static const uint64_t values[CELLS];
	uint32_t count = CELLS;

	for (uint32_t i = 0; i < CELLS; i++)
		keys[i] = i;
	expect_equal(bpf_map_update_batch(load_map("lb_rates"), keys, values, &count, NULL), 0);
}

static struct conv limited(void **state, const struct mode *mode, const char *what,
			   uint32_t rate_ticks)
{
	struct lb_service service;
	struct conv conv;

	world_reset(state);
	run_row("%s, %s", mode->name, what);
	conv = conv_of(mode);
	if (mode == modes)
		forget_sources();
	/* Of each mode another: what was counted of the last one's stays. */
	conv.client.b[13] = (uint8_t)(mode - modes);
	if (mode->forward == LB_FORWARD_NAT || mode->forward == LB_FORWARD_DSR)
		conv.source = conv.client;
	service = service_of(&conv);
	service.rate_new = RATE;
	service.rate_ticks = rate_ticks;
	service.rate_bits4 = 24;
	service.rate_bits6 = 112;
	listen_as(&conv, &service);
	return conv;
}

/* An hour: nothing comes back while the test runs. */
static void source_may_open_so_many_flows_and_no_more(void **state)
{
	for (uint32_t i = 0; i < n_modes; i++) {
		struct conv conv = limited(state, &modes[i], "one source", 3600 * world.second);

		for (uint32_t k = 0; k < RATE; k++, conv.client_port++)
			expect_open(&conv, LB_V_FORWARDED_NEW);
		for (uint32_t k = 0; k < 3; k++, conv.client_port++)
			expect_open(&conv, LB_V_SOURCE_RATE);
		conv.client_port = CLIENT_PORT;
		conv.client.b[15] ^= 1;
		expect_open(&conv, LB_V_SOURCE_RATE);
	}
}

static void source_of_another_prefix_has_a_limit_of_its_own(void **state)
{
	for (uint32_t i = 0; i < n_modes; i++) {
		struct conv conv = limited(state, &modes[i], "two prefixes", 3600 * world.second);

		for (uint32_t k = 0; k < RATE; k++, conv.client_port++)
			expect_open(&conv, LB_V_FORWARDED_NEW);
		expect_open(&conv, LB_V_SOURCE_RATE);
		conv.client.b[modes[i].client6 ? 12 : 14] ^= 0x80;
		expect_open(&conv, LB_V_FORWARDED_NEW);
	}
}

static void packets_of_open_flows_are_not_limited(void **state)
{
	for (uint32_t i = 0; i < n_modes; i++) {
		struct conv conv = limited(state, &modes[i], "one flow", 3600 * world.second);

		conv_open(&conv);
		for (uint32_t k = 0; k < 3 * RATE; k++)
			conv_say(&conv, BY_CLIENT, ACK, 5, LB_V_FORWARDED);
	}
}

/* A tick's worth: the whole comes back at the next one. */
static void limit_comes_back_in_time(void **state)
{
	for (uint32_t i = 0; i < n_modes; i++) {
		struct conv conv = limited(state, &modes[i], "a limit for each tick", 1);

		for (uint32_t round = 0; round < 3; round++) {
			for (uint32_t k = 0; k < RATE; k++, conv.client_port++)
				expect_open(&conv, LB_V_FORWARDED_NEW);
			world_pass(1);
		}
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(longest_prefix_decides_who_may_open_a_flow),
		TEST(denied_source_keeps_the_flows_it_has),
		TEST(source_may_open_so_many_flows_and_no_more),
		TEST(source_of_another_prefix_has_a_limit_of_its_own),
		TEST(packets_of_open_flows_are_not_limited),
		TEST(limit_comes_back_in_time),
	};

	(void)argc;
	return RUN_TESTS(tests, argv);
}
