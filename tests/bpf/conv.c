/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "conv.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#define TCP LB_PROTO_TCP
#define UDP LB_PROTO_UDP

#define BOTH(name, forward, client6, backend6) \
	{name " tcp", forward, client6, backend6, TCP}, \
	{ \
		name " udp", forward, client6, backend6, UDP \
	}

const struct mode modes[] = {
	BOTH("nat v4", LB_FORWARD_NAT, false, false),
	BOTH("nat v6", LB_FORWARD_NAT, true, true),
	BOTH("snat v4", LB_FORWARD_SNAT, false, false),
	BOTH("snat v6", LB_FORWARD_SNAT, true, true),
	BOTH("dsr v4", LB_FORWARD_DSR, false, false),
	BOTH("dsr v6", LB_FORWARD_DSR, true, true),
	BOTH("ipip v4 in v4", LB_FORWARD_IPIP, false, false),
	BOTH("ipip v4 in v6", LB_FORWARD_IPIP, false, true),
	BOTH("ipip v6 in v4", LB_FORWARD_IPIP, true, false),
	BOTH("ipip v6 in v6", LB_FORWARD_IPIP, true, true),
	BOTH("gue v4 in v4", LB_FORWARD_GUE, false, false),
	BOTH("gue v4 in v6", LB_FORWARD_GUE, false, true),
	BOTH("gue v6 in v4", LB_FORWARD_GUE, true, false),
	BOTH("gue v6 in v6", LB_FORWARD_GUE, true, true),
};
const uint32_t n_modes = sizeof(modes) / sizeof(*modes);

bool conv_is_two_way(const struct conv *conv)
{
	return conv->mode->forward <= LB_FORWARD_SNAT;
}

bool conv_is_tunnel(const struct conv *conv)
{
	return conv->mode->forward >= LB_FORWARD_IPIP;
}

/* ---- The world ----------------------------------------------------------------------------- */

static void write_maps(const struct conv *conv)
{
	const struct mode *mode = conv->mode;
	const struct lb_service service = {
		.id = 1, .pool = 1, .forward = mode->forward, .snat = 1, .n_snat = 1};

	world_listen(&service, &conv->vip, conv->vip_port, mode->proto);
	world_backend_at(1, &conv->backend, conv->backend_port, 1, ELIGIBLE);
	world.snat[1] = (struct lb_snat){
		.addr = conv->source, .first_port = SNAT_FIRST, .n_ports = SNAT_PORTS};
	if (conv_is_tunnel(conv))
		world.backends[1].source = conv->source;
}

struct conv conv_of(const struct mode *mode)
{
	bool c6 = mode->client6;
	bool b6 = mode->backend6;
	struct conv conv = {
		.mode = mode,
		.client = c6 ? place_ip6(0x1000, 7) : ip_of(CLIENT),
		.vip = c6 ? place_ip6(0x2000, 1) : ip_of(VIP),
		.backend = b6 ? place_ip6(2, 11) : ip_of(BACKEND_ADDR(1)),
		.client_port = CLIENT_PORT,
		.vip_port = VIP_PORT,
		.seq_client = 0xfffffff0, /* wraps soon */
		.seq_backend = 0x10203040,
	};

	conv.source = b6 ? place_ip6(2, 1) : ip_of(IPV4(10, 2, 0, 1));
	conv.source_port = mode->forward == LB_FORWARD_SNAT ? SNAT_FIRST : CLIENT_PORT;
	conv.backend_port = conv_is_two_way(&conv) ? BACKEND_PORT : VIP_PORT;
	if (mode->forward == LB_FORWARD_NAT || mode->forward == LB_FORWARD_DSR)
		conv.source = conv.client;
	write_maps(&conv);
	return conv;
}

/* ---- What is sent -------------------------------------------------------------------------- */

struct wire conv_wire(const struct conv *conv, enum speaker speaker, uint8_t flags,
		      uint16_t payload)
{
	bool client = speaker == BY_CLIENT;
	struct wire wire = {
		.dmac = {2, 0, 0, 0, client ? 1 : 2, 1},
		.smac = {2, 0, 0, 0, client ? 1 : 2, 0xfe},
		.tags = {conv->tags[0], conv->tags[1]},
		.saddr = client ? conv->client : conv->backend,
		.daddr = client ? conv->vip : conv->source,
		.proto = conv->mode->proto,
		.ttl = 61,
		.df = true,
		.id = (conv->seq_client * 7) & 0xffff,
		.sport = client ? conv->client_port : conv->backend_port,
		.dport = client ? conv->vip_port : conv->source_port,
		.seq = client ? conv->seq_client : conv->seq_backend,
		.ack = flags & ACK ? (client ? conv->seq_backend : conv->seq_client) : 0,
		.flags = flags,
		.no_sum = conv->no_sum,
		.payload = payload,
		.fill = conv->seq_client ^ conv->seq_backend,
	};

	if (conv->mode->proto == UDP)
		wire.flags = 0;
	return wire;
}

/* ---- What must leave ----------------------------------------------------------------------- */

static void set_hop(struct wire *out, const struct lb_ip *to)
{
	struct hop hop;

	place_hop_ip(to, &hop);
	memcpy(out->dmac, hop.dmac, 6);
	memcpy(out->smac, hop.smac, 6);
}

void conv_translate(const struct conv *conv, enum speaker speaker, struct wire *out)
{
	if (speaker == BY_CLIENT) {
		out->saddr = conv->source;
		out->daddr = conv->backend;
		out->sport = conv->source_port;
		out->dport = conv->backend_port;
	} else {
		out->saddr = conv->vip;
		out->daddr = conv->client;
		out->sport = conv->vip_port;
		out->dport = conv->client_port;
	}
}

/* What the outer header has of the flow's hash: any number that spreads flows will do. */
static void copy_entropy(struct wire *outer, const struct frame *got)
{
	uint32_t l2 = wire_l2_len(outer);

	if (outer->proto == UDP)
		outer->sport = frame_get16(got, l2 + (wire_is_v6(outer) ? IP6_LEN : IP_LEN));
	if (wire_is_v6(outer))
		outer->label = (uint32_t)(got->bytes[l2 + 1] & 15) << 16 | frame_get16(got, l2 + 2);
	if (outer->proto == UDP && outer->sport < 49152)
		run_fail("expected an outer port from 49152 on, got %u", outer->sport);
}

static void wrap(const struct conv *conv, const struct wire *inner, const struct frame *got,
		 struct frame *ret_out)
{
	uint32_t l2 = wire_l2_len(inner);
	struct wire outer = {
		.tags = {inner->tags[0], inner->tags[1]},
		.saddr = conv->source,
		.daddr = conv->backend,
		.proto = wire_is_v6(inner) ? PROTO_IPV6 : PROTO_IPIP,
		.ttl = 64,
		.tos = inner->tos,
		.df = true,
		.no_sum = true,
		.dport = GUE_DPORT,
	};
	struct frame packet;

	wire_build(&packet, inner);
	outer.data = packet.bytes + l2;
	outer.payload = (uint16_t)(packet.len - l2);
	if (conv->mode->forward == LB_FORWARD_GUE)
		outer.proto = UDP;
	copy_entropy(&outer, got);
	set_hop(&outer, &conv->backend);
	wire_build(ret_out, &outer);
}

void conv_expected(const struct conv *conv, enum speaker speaker, const struct wire *in,
		   const struct frame *got, struct frame *ret_out)
{
	struct wire out = *in;

	out.ttl--;
	if (conv_is_two_way(conv))
		conv_translate(conv, speaker, &out);
	set_hop(&out, speaker == BY_CLIENT ? &conv->backend : &out.daddr);
	if (conv_is_tunnel(conv))
		wrap(conv, &out, got, ret_out);
	else
		wire_build(ret_out, &out);
}

void conv_send(const struct conv *conv, enum speaker speaker, const struct wire *in,
	       enum lb_verdict verdict)
{
	struct frame frame;
	struct frame expected;
	struct sent sent;
	struct hop hop;

	wire_build(&frame, in);
	run_frame(&frame, (enum side)speaker, &sent);
	run_expect_verdict(&sent, &frame, verdict);
	conv_expected(conv, speaker, in, &sent.out, &expected);
	run_expect_frame(&sent, &expected);
	place_hop_ip(speaker == BY_CLIENT ? &conv->backend : &conv->client, &hop);
	run_expect_way(&sent, &frame,
		       hop.ifindex == place_ifindex((enum side)speaker) ? WAY_SAME : WAY_OTHER);
}

void conv_say(struct conv *conv, enum speaker speaker, uint8_t flags, uint16_t payload,
	      enum lb_verdict verdict)
{
	const struct wire wire = conv_wire(conv, speaker, flags, payload);

	conv_send(conv, speaker, &wire, verdict);
	*(speaker == BY_CLIENT ? &conv->seq_client : &conv->seq_backend) +=
		payload + !!(flags & SYN) + !!(flags & FIN);
}

void conv_open(struct conv *conv)
{
	conv_say(conv, BY_CLIENT, SYN, 0, LB_V_FORWARDED_NEW);
	if (conv_is_two_way(conv))
		conv_say(conv, BY_BACKEND, SYN | ACK, 0, LB_V_REPLIED);
	else
		conv_say(conv, BY_CLIENT, ACK, 0, LB_V_FORWARDED);
	conv_say(conv, BY_CLIENT, ACK, 9, LB_V_FORWARDED);
}

/* ---- Looking ------------------------------------------------------------------------------- */

struct lb_flow *conv_flow(const struct conv *conv)
{
	for (uint32_t i = 0; i < world.n_records; i++) {
		struct lb_flow *flow = &world.flows[i];

		if (LB_FLOW_STATE(flow->word) > LB_FLOW_CLAIMED &&
		    flow->client_port == htons(conv->client_port) &&
		    flow->proto == conv->mode->proto &&
		    memcmp(&flow->client, &conv->client, sizeof(conv->client)) == 0)
			return flow;
	}
	return NULL;
}

void conv_expect_state(const struct conv *conv, enum lb_flow_state state)
{
	const struct lb_flow *flow = conv_flow(conv);

	expect_equal(flow ? LB_FLOW_STATE(flow->word) : LB_FLOW_FREE, state);
}

void conv_expect_answer(const struct wire *in, enum side side, enum lb_verdict verdict,
			const struct wire *answer)
{
	struct frame frame;
	struct frame expected;
	struct sent sent;

	wire_build(&frame, in);
	wire_build(&expected, answer);
	run_frame(&frame, side, &sent);
	run_expect_verdict(&sent, &frame, verdict);
	run_expect_frame(&sent, &expected);
	run_expect_way(&sent, &frame, WAY_SAME);
}
