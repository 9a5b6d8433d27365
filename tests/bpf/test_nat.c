/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Forwarding: what leaves, byte for byte. */
#include <bpf/bpf.h>

#include "load.h"
#include "talk.h"

#define COUNT(rows) (sizeof(rows) / sizeof(*(rows)))

/* ---- Connections --------------------------------------------------------------------------- */

struct shape {
	const char *name;
	uint32_t backend;
	uint16_t port; /* as configured */
	uint8_t ip_options;
	uint8_t ttl;
	uint8_t tos;
	uint16_t payload;
};

static void say(struct talk *talk, const struct shape *shape, enum speaker speaker, uint8_t flags,
		uint16_t payload, enum lb_verdict verdict)
{
	struct segment segment = talk_segment(talk, speaker, flags, payload);
	uint32_t *seq = speaker == BY_CLIENT ? &talk->seq_client : &talk->seq_backend;

	segment.ip_options = shape->ip_options;
	segment.ttl = shape->ttl;
	segment.tos = shape->tos;
	talk_send(talk, speaker, &segment, verdict);
	*seq += payload + !!(flags & SYN) + !!(flags & FIN);
}

static void converse(const struct shape *shape)
{
	struct talk talk = talk_of(CLIENT_PORT);

	run_row("%s", shape->name);
	world_backend(1, shape->backend, shape->port, 1, ELIGIBLE);
	talk.backend = shape->backend;
	talk.backend_port = shape->port ? shape->port : VIP_PORT;
	say(&talk, shape, BY_CLIENT, SYN, 0, LB_V_FORWARDED_NEW);
	say(&talk, shape, BY_BACKEND, SYN | ACK, 0, LB_V_REPLIED);
	say(&talk, shape, BY_CLIENT, ACK, 0, LB_V_FORWARDED);
	say(&talk, shape, BY_CLIENT, ACK | PSH, shape->payload, LB_V_FORWARDED);
	say(&talk, shape, BY_BACKEND, ACK | PSH, shape->payload, LB_V_REPLIED);
	say(&talk, shape, BY_CLIENT, ACK | FIN, 1, LB_V_FORWARDED);
	say(&talk, shape, BY_BACKEND, ACK | FIN, shape->payload, LB_V_REPLIED);
	say(&talk, shape, BY_CLIENT, ACK, 0, LB_V_FORWARDED);
	talk_expect_state(&talk, LB_FLOW_CLOSING);
	expect_live(1, &(struct counts){1, 1, 1, 1, 0});
}

static void a_connection_is_translated_both_ways(void **state)
{
	static const struct shape rows[] = {
		{"port translated", BACKEND_ADDR(1), 8080, 0, 61, 0, 100},
		{"port kept when the backend has none", BACKEND_ADDR(1), 0, 0, 61, 0, 100},
		{"the same port configured", BACKEND_ADDR(2), 80, 0, 61, 0, 100},
		{"port 65535", BACKEND_ADDR(3), 65535, 0, 61, 0, 100},
		{"out where it came in", BACKEND_SAME_SIDE, 8080, 0, 61, 0, 100},
		{"through a gateway", NET_FAR + 77, 8080, 0, 61, 0, 100},
		{"4 bytes of IP options", BACKEND_ADDR(1), 8080, 4, 61, 0, 100},
		{"40 bytes of IP options", BACKEND_ADDR(1), 8080, 40, 61, 0, 101},
		{"one byte of data", BACKEND_ADDR(1), 8080, 0, 61, 0, 1},
		{"odd length", BACKEND_ADDR(1), 8080, 0, 61, 0, 1459},
		{"as large as the MTU", BACKEND_ADDR(1), 8080, 0, 61, 0, 1460},
		{"no data", BACKEND_ADDR(1), 8080, 0, 61, 0, 0},
		{"hop limit 2", BACKEND_ADDR(1), 8080, 0, 2, 0, 100},
		{"hop limit 255", BACKEND_ADDR(1), 8080, 0, 255, 0, 100},
		{"ECN and DSCP kept", BACKEND_ADDR(1), 8080, 0, 61, 0xbb, 100},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		world_reset(state);
		converse(&rows[i]);
	}
}

static void service_of_port_0_takes_every_port_but_those_of_others(void **state)
{
	static const struct {
		const char *name;
		uint16_t vip_port, backend_port;
		uint16_t configured;
	} rows[] = {
		{"any port keeps its number", 81, 81, 0},
		{"port 65535", 65535, 65535, 0},
		{"any port to one port", 443, 9000, 9000},
		{"a service of this very port is first", VIP_PORT, BACKEND_PORT, 9000},
	};
	static const uint16_t two[] = {2};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct talk talk = talk_of(CLIENT_PORT);

		run_row("%s", rows[i].name);
		world_reset(state);
		world_service(2, VIP, 0, 2, 0);
		world_pool(2, LB_CHOICE_TABLE_NEXT, two, 1);
		world_backend(2, BACKEND_ADDR(2), rows[i].configured, 1, ELIGIBLE);
		talk.vip_port = rows[i].vip_port;
		talk.backend = rows[i].vip_port == VIP_PORT ? BACKEND_ADDR(1) : BACKEND_ADDR(2);
		talk.backend_port = rows[i].backend_port;
		talk_open(&talk);
		talk_say(&talk, BY_BACKEND, ACK | PSH, 10, LB_V_REPLIED);
	}
}

/* ---- Limits of the way --------------------------------------------------------------------- */

static void last_hop_is_left_to_the_stack_untouched(void **state)
{
	for (uint8_t ttl = 0; ttl <= 1; ttl++) {
		struct talk talk = talk_of(CLIENT_PORT);
		struct segment segment = talk_segment(&talk, BY_CLIENT, SYN, 0);

		run_row("hop limit %u", ttl);
		world_reset(state);
		segment.ttl = ttl;
		talk_send(&talk, BY_CLIENT, &segment, LB_V_TTL_EXPIRED);
		expect_no_flow();
		talk_open(&talk);
		segment = talk_segment(&talk, BY_CLIENT, ACK | FIN, 33);
		segment.ttl = ttl;
		talk_send(&talk, BY_CLIENT, &segment, LB_V_TTL_EXPIRED);
		segment = talk_segment(&talk, BY_BACKEND, ACK | RST, 0);
		segment.ttl = ttl;
		talk_send(&talk, BY_BACKEND, &segment, LB_V_TTL_EXPIRED);
		talk_expect_state(&talk, LB_FLOW_OPEN);
	}
}

/* Without DF it may be cut there. */
static void packet_above_the_mtu_that_may_be_cut_goes_to_the_stack(void **state)
{
	static const struct {
		const char *name;
		uint32_t backend;
		uint16_t len; /* of the IP packet */
		enum lb_verdict verdict;
	} rows[] = {
		{"device, fits", BACKEND_ADDR(1), 1500, LB_V_FORWARDED},
		{"device, one more", BACKEND_ADDR(1), 1501, LB_V_TO_STACK},
		{"route, fits", NET_NARROW + 9, NARROW_MTU, LB_V_FORWARDED},
		{"route, one more", NET_NARROW + 9, NARROW_MTU + 1, LB_V_TO_STACK},
		{"route, much more", NET_NARROW + 9, 1500, LB_V_TO_STACK},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct talk talk = talk_of(CLIENT_PORT);
		struct segment segment;

		run_row("%s", rows[i].name);
		world_reset(state);
		world_backend(1, rows[i].backend, BACKEND_PORT, 1, ELIGIBLE);
		talk.backend = rows[i].backend;
		talk_open(&talk);
		segment = talk_segment(&talk, BY_CLIENT, ACK, rows[i].len - IP_LEN - TCP_LEN);
		segment.fragment = 0;
		talk_send(&talk, BY_CLIENT, &segment, rows[i].verdict);
	}
}

/* TC only: what counts is what each segment will measure (IP + TCP header + gso_size). */
static void packet_to_be_segmented_is_measured_by_its_segments(void **state)
{
	static const struct {
		const char *name;
		uint16_t gso_size;
		enum lb_verdict verdict;
	} rows[] = {
		{"segments fit", NARROW_MTU - 40, LB_V_FORWARDED},
		{"one byte too long", NARROW_MTU - 39, LB_V_TOO_BIG},
	};
	struct talk talk = talk_of(CLIENT_PORT);
	struct segment segment;
	struct frame frame;
	struct sent sent;

	(void)state;
	run_row("handshake");
	world_backend(1, NET_NARROW + 9, BACKEND_PORT, 1, ELIGIBLE);
	talk.backend = NET_NARROW + 9;
	talk_open(&talk);
	segment = talk_segment(&talk, BY_CLIENT, ACK, 2000);
	frame_build(&frame, &segment);
	for (size_t i = 0; i < COUNT(rows); i++) {
		run_row("%s", rows[i].name);
		run_gso(&frame, CLIENT_SIDE, rows[i].gso_size, &sent);
		run_expect_verdict(&sent, &frame, rows[i].verdict);
	}
}

static void unknown_next_hop_leaves_the_rewritten_packet_to_the_stack(void **state)
{
	static const struct {
		const char *name;
		uint32_t backend;
	} rows[] = {
		{"neighbour not resolved", BACKEND_UNRESOLVED},
		{"route unreachable", BACKEND_NO_ROUTE},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct talk talk = talk_of(CLIENT_PORT);

		run_row("%s", rows[i].name);
		world_reset(state);
		world_backend(1, rows[i].backend, BACKEND_PORT, 1, ELIGIBLE);
		talk.backend = rows[i].backend;
		talk_say(&talk, BY_CLIENT, SYN, 0, LB_V_TO_STACK);
		talk_say(&talk, BY_BACKEND, SYN | ACK, 0, LB_V_REPLIED);
		talk_say(&talk, BY_CLIENT, ACK | PSH, 77, LB_V_TO_STACK);
		expect_live(1, &(struct counts){1, 0, 1, 1, 0});
	}
}

/* XDP only: the device is not in lb_devs, say because its driver cannot transmit XDP frames. */
static void device_without_xdp_transmit_is_left_to_the_stack(void **state)
{
	struct talk talk = talk_of(CLIENT_PORT);
	uint32_t ifindex = place_ifindex(BACKEND_SIDE);
	int devs = load_map("lb_devs");

	(void)state;
	run_row("c0 listed, b0 not");
	expect_equal(bpf_map_delete_elem(devs, &ifindex), 0);
	talk_say(&talk, BY_CLIENT, SYN, 0, LB_V_TO_STACK);
	talk_say(&talk, BY_BACKEND, SYN | ACK, 0, LB_V_REPLIED);
	expect_equal(bpf_map_update_elem(devs, &ifindex, &ifindex, BPF_ANY), 0);
	talk_say(&talk, BY_CLIENT, ACK, 0, LB_V_FORWARDED);
}

/* ---- Counting ------------------------------------------------------------------------------ */

static void sum_traffic(int map, uint32_t id, struct lb_traffic *ret_sum)
{
	struct lb_traffic each[256];
	struct lb_traffic sum = {0};

	expect_equal(bpf_map_lookup_elem(map, &id, each), 0);
	for (int cpu = 0; cpu < world.cpus; cpu++) {
		sum.in.packets += each[cpu].in.packets;
		sum.in.bytes += each[cpu].in.bytes;
		sum.out.packets += each[cpu].out.packets;
		sum.out.bytes += each[cpu].out.bytes;
	}
	*ret_sum = sum;
}

static void expect_moved(int map, const char *what, const struct lb_traffic *before)
{
	struct lb_traffic now;

	/* SYN 74, ACK 54, 100 bytes of data 154; SYN-ACK 74, 1000 bytes of data 1054. */
	sum_traffic(map, 1, &now);
	run_row("%s", what);
	expect_equal(now.in.packets - before->in.packets, 3);
	expect_equal(now.in.bytes - before->in.bytes, 74 + 54 + 154);
	expect_equal(now.out.packets - before->out.packets, 2);
	expect_equal(now.out.bytes - before->out.bytes, 74 + 1054);
}

static void service_and_backend_are_credited_with_packets_and_bytes(void **state)
{
	struct talk talk = talk_of(CLIENT_PORT);
	struct lb_traffic service, backend;

	(void)state;
	run_row("traffic");
	sum_traffic(world.svc_stats, 1, &service);
	sum_traffic(world.be_stats, 1, &backend);
	talk_open(&talk);
	talk_say(&talk, BY_CLIENT, ACK, 100, LB_V_FORWARDED);
	talk_say(&talk, BY_BACKEND, ACK, 1000, LB_V_REPLIED);
	expect_moved(world.svc_stats, "service", &service);
	expect_moved(world.be_stats, "backend", &backend);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(a_connection_is_translated_both_ways),
		TEST_ON(a_connection_is_translated_both_ways, tc_complete),
		TEST(service_of_port_0_takes_every_port_but_those_of_others),
		TEST(last_hop_is_left_to_the_stack_untouched),
		TEST(packet_above_the_mtu_that_may_be_cut_goes_to_the_stack),
		TEST_ON(packet_above_the_mtu_that_may_be_cut_goes_to_the_stack, tc_complete),
		TEST_ON(packet_to_be_segmented_is_measured_by_its_segments, tc),
		TEST(unknown_next_hop_leaves_the_rewritten_packet_to_the_stack),
		TEST_ON(unknown_next_hop_leaves_the_rewritten_packet_to_the_stack, tc_complete),
		TEST_ON(device_without_xdp_transmit_is_left_to_the_stack, xdp),
		TEST(service_and_backend_are_credited_with_packets_and_bytes),
	};

	(void)argc;
	return RUN_TESTS(tests, argv);
}
