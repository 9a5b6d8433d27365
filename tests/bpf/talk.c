/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "talk.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <string.h>

struct talk talk_of(uint16_t client_port)
{
	const struct talk talk = {
		.client = CLIENT,
		.vip = VIP,
		.backend = BACKEND_ADDR(1),
		.client_port = client_port,
		.vip_port = VIP_PORT,
		.backend_port = BACKEND_PORT,
		.seq_client = 0xfffffff0, /* wraps soon */
		.seq_backend = 0x10203040,
	};

	return talk;
}

struct segment talk_segment(const struct talk *talk, enum speaker speaker, uint8_t flags,
			    uint16_t payload)
{
	bool client = speaker == BY_CLIENT;
	struct segment segment = {
		.dmac = {2, 0, 0, 0, client ? 1 : 2, 1},
		.smac = {2, 0, 0, 0, client ? 1 : 2, 0xfe},
		.saddr = client ? talk->client : talk->backend,
		.daddr = client ? talk->vip : talk->client,
		.sport = client ? talk->client_port : talk->backend_port,
		.dport = client ? talk->vip_port : talk->client_port,
		.seq = client ? talk->seq_client : talk->seq_backend,
		.ack = flags & ACK ? (client ? talk->seq_backend : talk->seq_client) : 0,
		.flags = flags,
		.ttl = 61,
		.id = (uint16_t)(talk->seq_client * 7),
		.fragment = 0x4000,
		.window = 29200,
		.payload = payload,
		.fill = talk->seq_client ^ talk->seq_backend,
	};

	if (flags & SYN)
		segment.tcp_options = 20;
	return segment;
}

/* ---- What must come out -------------------------------------------------------------------- */

static bool is_sent(enum lb_verdict verdict)
{
	return verdict == LB_V_FORWARDED || verdict == LB_V_FORWARDED_NEW ||
	       verdict == LB_V_REPLIED;
}

static bool is_refused(enum lb_verdict verdict)
{
	return verdict == LB_V_NO_BACKEND || verdict == LB_V_NO_FLOW ||
	       verdict == LB_V_FLOW_KILLED || verdict == LB_V_TABLE_FULL;
}

static bool is_dropped(enum lb_verdict verdict)
{
	return verdict == LB_V_BAD_STATE || verdict == LB_V_NAT_COLLISION ||
	       verdict == LB_V_MALFORMED || verdict == LB_V_RATE_LIMITED ||
	       verdict == LB_V_DENIED || verdict == LB_V_SOURCE_RATE;
}

static struct segment rewritten(const struct talk *talk, enum speaker speaker,
				const struct segment *in)
{
	struct segment out = *in;

	out.ttl--;
	if (speaker == BY_CLIENT) {
		out.daddr = talk->backend;
		out.dport = talk->backend_port;
	} else {
		out.saddr = talk->vip;
		out.sport = talk->vip_port;
	}
	return out;
}

static void expect_sent(const struct sent *sent, const struct frame *in, struct segment *out,
			enum side side)
{
	struct frame expected;
	struct hop hop;

	place_hop(out->daddr, &hop);
	memcpy(out->dmac, hop.dmac, 6);
	memcpy(out->smac, hop.smac, 6);
	frame_build(&expected, out);
	run_expect_frame(sent, &expected);
	run_expect_way(sent, in, hop.ifindex == place_ifindex(side) ? WAY_SAME : WAY_OTHER);
}

static void expect_refused(const struct sent *sent, const struct frame *in,
			   const struct segment *segment)
{
	struct frame expected;
	struct segment rst;

	if (segment->flags & RST) {
		run_expect_way(sent, in, WAY_DROP);
		return;
	}
	segment_refuse(segment, &rst);
	frame_build(&expected, &rst);
	run_expect_frame(sent, &expected);
	run_expect_way(sent, in, WAY_SAME);
}

static void expect_outcome(const struct talk *talk, enum speaker speaker,
			   const struct segment *segment, const struct sent *sent)
{
	struct segment out = rewritten(talk, speaker, segment);
	struct frame in;

	frame_build(&in, segment);
	if (is_sent(sent->verdict)) {
		expect_sent(sent, &in, &out, (enum side)speaker);
	} else if (is_refused(sent->verdict)) {
		expect_refused(sent, &in, segment);
	} else if (is_dropped(sent->verdict)) {
		run_expect_way(sent, &in, WAY_DROP);
	} else if (sent->verdict == LB_V_TO_STACK) {
		run_expect_way(sent, &in, WAY_STACK);
		frame_build(&in, &out);
		run_expect_frame(sent, &in);
	} else {
		run_expect_way(sent, &in, WAY_NOTHING);
		run_expect_frame(sent, &in);
	}
}

/* ---- Speaking ------------------------------------------------------------------------------ */

void talk_send(const struct talk *talk, enum speaker speaker, const struct segment *segment,
	       enum lb_verdict verdict)
{
	struct frame in;
	struct sent sent;

	frame_build(&in, segment);
	run_frame(&in, (enum side)speaker, &sent);
	run_expect_verdict(&sent, &in, verdict);
	expect_outcome(talk, speaker, segment, &sent);
}

void talk_say(struct talk *talk, enum speaker speaker, uint8_t flags, uint16_t payload,
	      enum lb_verdict verdict)
{
	struct segment segment = talk_segment(talk, speaker, flags, payload);
	uint32_t *seq = speaker == BY_CLIENT ? &talk->seq_client : &talk->seq_backend;

	talk_send(talk, speaker, &segment, verdict);
	*seq += payload + !!(flags & SYN) + !!(flags & FIN);
}

void talk_open(struct talk *talk)
{
	talk_say(talk, BY_CLIENT, SYN, 0, LB_V_FORWARDED_NEW);
	talk_say(talk, BY_BACKEND, SYN | ACK, 0, LB_V_REPLIED);
	talk_say(talk, BY_CLIENT, ACK, 0, LB_V_FORWARDED);
}

uint16_t talk_syn_anywhere(struct talk *talk)
{
	struct segment segment = talk_segment(talk, BY_CLIENT, SYN, 0);
	struct lb_flow *flow;
	struct frame in;
	struct sent sent;

	frame_build(&in, &segment);
	run_frame(&in, CLIENT_SIDE, &sent);
	run_expect_verdict(&sent, &in, LB_V_FORWARDED_NEW);
	flow = talk_flow(talk);
	if (!flow)
		run_fail("a new flow is not in the index");
	talk->backend = ntohl(world.backends[flow->backend].addr.w[3]);
	talk->backend_port = ntohs(world.backends[flow->backend].port);
	expect_outcome(talk, BY_CLIENT, &segment, &sent);
	talk->seq_client++;
	return flow->backend;
}

/* ---- Looking ------------------------------------------------------------------------------- */

static bool is_flow_of(const struct lb_flow *flow, const struct talk *talk)
{
	const struct lb_ip client = ip_of(talk->client);
	const struct lb_ip vip = ip_of(talk->vip);

	return LB_FLOW_STATE(flow->word) > LB_FLOW_CLAIMED &&
	       flow->client_port == htons(talk->client_port) &&
	       flow->vip_port == htons(talk->vip_port) && flow->proto == LB_PROTO_TCP &&
	       memcmp(&flow->client, &client, sizeof(client)) == 0 &&
	       memcmp(&world.vips[flow->vip], &vip, sizeof(vip)) == 0;
}

/* Replies find it too: a record that is being opened is none yet. */
struct lb_flow *talk_flow(const struct talk *talk)
{
	for (uint32_t i = 0; i < world.n_records; i++) {
		struct lb_flow *flow = &world.flows[i];

		if (is_flow_of(flow, talk) && world_entries_of(flow) >= 1)
			return flow;
	}
	return NULL;
}

void talk_expect_state(const struct talk *talk, enum lb_flow_state state)
{
	const struct lb_flow *flow = talk_flow(talk);

	if (!flow && state != LB_FLOW_FREE)
		run_fail("expected a flow in state %d, there is none", state);
	if (flow && LB_FLOW_STATE(flow->word) != state)
		run_fail("expected state %d, got %u", state, LB_FLOW_STATE(flow->word));
}

void expect_live(uint16_t backend, const struct counts *expected)
{
	const struct lb_live *live = &world.live[backend];

	if (live->opened != expected->opened || live->closed != expected->closed ||
	    live->pending_in != expected->pending_in ||
	    live->pending_out != expected->pending_out || live->failed != expected->failed)
		run_fail("backend %u: expected opened %lu closed %lu pending %lu-%lu failed %lu; "
			 "got %llu %llu %llu-%llu %llu",
			 backend, expected->opened, expected->closed, expected->pending_in,
			 expected->pending_out, expected->failed, live->opened, live->closed,
			 live->pending_in, live->pending_out, live->failed);
}

void expect_no_flow(void)
{
	uint32_t entries = world_index_count();

	if (world.meta->live_flows || entries)
		run_fail("expected nothing left; got %llu records, %u index entries",
			 world.meta->live_flows, entries);
	for (uint32_t i = 0; i < world.n_records; i++)
		if (LB_FLOW_STATE(world.flows[i].word) != LB_FLOW_FREE)
			run_fail("record %u is not free", i);
	for (uint32_t i = 0; i < LB_CROWDS(world.max_flows); i++)
		if (world.crowds[i])
			run_fail("sets %u to %u: 0x%lx say that flows live elsewhere", i * 8,
				 i * 8 + 7, world.crowds[i]);
}
