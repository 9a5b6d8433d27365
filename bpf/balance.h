/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The core: packet -> flow -> choose -> rewrite -> forward, the same for both hooks.
 *
 * Owns: which verdict a packet gets; each gets one, and balance() is the only exit. The entry point
 * includes ctx_xdp.h or ctx_tc.h before this header.
 * Not built yet, by name: UDP, ICMP, IPv6 and tagged frames are passed; a service whose forward is
 * not nat drops (unsupported). A packet above the route's MTU goes to the stack as rewritten: it
 * fragments it, or answers need-frag about the rewritten header.
 * May know: everything in bpf/.
 */
#ifndef LB_BALANCE_H
#define LB_BALANCE_H

#include "count.h"
#include "hop.h"
#include "open.h"
#include "parse.h"
#include "reply.h"
#include "rewrite.h"

/* NULL: not a service's address and port. */
static __always_inline struct lb_service *service_find(const struct lb_flow_key *flow)
{
	struct lb_service_key key = {
		.addr = flow->daddr,
		.port = flow->dport,
		.zone = flow->zone,
		.proto = flow->proto,
	};
	struct lb_service *service = bpf_map_lookup_elem(&lb_services, &key);

	if (service)
		return service;
	key.port = 0;
	return bpf_map_lookup_elem(&lb_services, &key);
}

static __always_inline __u32 drop(struct packet *pkt, __u32 verdict)
{
	pkt->action = CTX_DROP;
	return verdict;
}

/* A RST is never answered by another: two boxes would do nothing else. */
static __always_inline __u32 refuse(struct ctx_kind *ctx, struct packet *pkt, __u32 verdict)
{
	if (pkt->flags & TCP_RST)
		return drop(pkt, verdict);
	if (!reply_allowed())
		return drop(pkt, LB_V_RATE_LIMITED);
	pkt->action = reply_rst(ctx, pkt);
	return verdict;
}

static __always_inline __u32 refuse_no_flow(struct ctx_kind *ctx, struct packet *pkt, __u32 flags)
{
	if (flags & LB_SERVICE_NO_FLOW_PASS)
		return LB_V_NO_FLOW;
	if (flags & LB_SERVICE_NO_FLOW_DROP)
		return drop(pkt, LB_V_NO_FLOW);
	return refuse(ctx, pkt, LB_V_NO_FLOW);
}

/* Whether <pkt> is to be answered because its flow was ended; uncounts the flow if it still is. */
static __always_inline bool flow_is_killed(struct lb_flow *flow, const struct packet *pkt)
{
	__u32 id = flow->backend;
	struct lb_backend *backend;

	if (pkt->word & LB_FLOW_KILLED)
		return true;
	backend = bpf_map_lookup_elem(&lb_backends, &id);
	if (!backend || !(READ_ONCE(backend->flags) & LB_BACKEND_KILL))
		return false;
	flow_kill(flow, pkt->word);
	return true;
}

/* Rewrites and sends; <verdict> if it went to its next hop. */
static __always_inline __u32 flow_forward(struct ctx_kind *ctx, struct packet *pkt,
					  struct lb_flow *flow, __u32 verdict)
{
	struct rewrite rewrite;
	struct lb_hop hop = {};
	int error;

	rewrite_from(flow, pkt, &rewrite);
	error = hop_get(ctx, pkt, flow, &hop);
	if (!flow_same(flow, pkt))
		return drop(pkt, LB_V_BAD_STATE);
	count_traffic(flow->service, flow->backend, pkt->from_client, pkt->bytes);
	if (rewrite_apply(ctx, pkt, &rewrite))
		return LB_V_INTERNAL;
	pkt->action = CTX_STACK;
	if (error)
		return LB_V_TO_STACK;
	if (rewrite_size(ctx, pkt) > hop.mtu)
		return LB_V_TOO_BIG;
	pkt->action = ctx_send(ctx, &hop);
	return pkt->action == CTX_STACK ? LB_V_TO_STACK : verdict;
}

static __always_inline __u32 balance_known(struct ctx_kind *ctx, struct packet *pkt,
					   struct lb_flow *flow, __u32 verdict)
{
	if (flow_is_killed(flow, pkt))
		return refuse(ctx, pkt, LB_V_FLOW_KILLED);
	if (pkt->ttl <= 1)
		return LB_V_TTL_EXPIRED;
	flow_see(flow, pkt);
	return flow_forward(ctx, pkt, flow, verdict);
}

static __always_inline __u32 direction_verdict(const struct packet *pkt)
{
	return pkt->from_client ? LB_V_FORWARDED : LB_V_REPLIED;
}

/* Opens a flow, or finds that another CPU just did: <ret_flow> is set unless it is refused. */
VERIFIED_ALONE __u32 balance_open(struct packet *pkt, const struct lb_service *service)
{
	__u32 verdict;

	if (!pkt || !service)
		return LB_V_INTERNAL;
	verdict = flow_open(pkt, service);
	if (verdict == LB_V_BAD_STATE && flow_find(pkt))
		return direction_verdict(pkt);
	return verdict;
}

static __always_inline __u32 balance_syn(struct ctx_kind *ctx, struct packet *pkt,
					 struct lb_service *service)
{
	__u32 verdict = balance_open(pkt, service);
	struct lb_flow *flow;

	if (verdict == LB_V_NO_BACKEND || verdict == LB_V_TABLE_FULL)
		return refuse(ctx, pkt, verdict);
	if (verdict != LB_V_FORWARDED_NEW && verdict != LB_V_FORWARDED)
		return drop(pkt, verdict);
	flow = bpf_map_lookup_elem(&lb_flows, &pkt->record);
	if (!flow)
		return LB_V_INTERNAL;
	pkt->from_client = true;
	pkt->word = READ_ONCE(flow->word);
	return balance_known(ctx, pkt, flow, verdict);
}

/* A packet of no flow. */
static __always_inline __u32 balance_unknown(struct ctx_kind *ctx, struct packet *pkt)
{
	struct lb_service *service = service_find(&pkt->key);

	if (!service)
		return pkt->bad ? LB_V_NOT_HANDLED : LB_V_NOT_OURS;
	if (pkt->bad)
		return drop(pkt, LB_V_MALFORMED);
	if (service->forward != LB_FORWARD_NAT)
		return drop(pkt, LB_V_UNSUPPORTED);
	if (pkt->ttl <= 1)
		return LB_V_TTL_EXPIRED;
	if (!(pkt->flags & TCP_SYN) || pkt->flags & (TCP_ACK | TCP_RST))
		return refuse_no_flow(ctx, pkt, service->flags);
	if (pkt->flags & TCP_FIN)
		return drop(pkt, LB_V_BAD_STATE);
	return balance_syn(ctx, pkt, service);
}

/* A client's SYN to a flow that is over: the port is used again (RFC 9293 section 3.6.1). */
static __always_inline bool flow_is_reused(const struct packet *pkt)
{
	__u32 state = LB_FLOW_STATE(pkt->word);

	if (!pkt->from_client || (pkt->flags & (TCP_SYN | TCP_ACK | TCP_RST)) != TCP_SYN)
		return false;
	return state == LB_FLOW_CLOSING || state == LB_FLOW_RESET || pkt->word & LB_FLOW_KILLED;
}

static __always_inline __u32 balance_tcp(struct ctx_kind *ctx, struct packet *pkt)
{
	struct lb_flow *flow = pkt->bad ? NULL : flow_find(pkt);

	if (flow && flow_is_reused(pkt)) {
		flow_release(pkt->record, flow, pkt->word);
		flow = NULL;
	}
	if (!flow)
		return balance_unknown(ctx, pkt);
	return balance_known(ctx, pkt, flow, direction_verdict(pkt));
}

static __always_inline int balance(struct ctx_kind *ctx)
{
	struct packet pkt = {.action = CTX_NOTHING, .bytes = ctx_len(ctx)};
	__u32 verdict = packet_parse(ctx, &pkt);

	if (verdict == LB_VERDICT_COUNT)
		verdict = balance_tcp(ctx, &pkt);
	count_verdict(verdict, pkt.bytes);
	return pkt.action;
}

#endif
