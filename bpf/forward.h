/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Forwarding a packet of a flow by the flow's mode, and refusing one.
 *
 * Owns: what a packet that is too large, or whose next hop is not known, gets. The verdict is
 * returned, the action is left in the packet.
 * May know: count.h, encap.h, hop.h, answer.h, event.h, trace.h.
 */
#ifndef LB_FORWARD_H
#define LB_FORWARD_H

#include "answer.h"
#include "count.h"
#include "encap.h"
#include "event.h"
#include "hop.h"
#include "open.h"
#include "rewrite.h"
#include "trace.h"

#define PMTU_SECONDS 600

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

/* RFC 1122 section 3.2.2: nothing is sent about these. */
static __always_inline bool may_be_answered(const struct packet *pkt)
{
	return pkt->fragment != FRAGMENT_LATER && !(pkt->flags & TCP_RST) && !pkt->error;
}

/* Answers TCP by RST, UDP by port unreachable: two boxes would do nothing else if RST had one. */
static __always_inline __u32 refuse(struct ctx_kind *ctx, struct packet *pkt, __u32 verdict)
{
	if (!may_be_answered(pkt))
		return drop(pkt, verdict);
	if (!answer_allowed(pkt->now))
		return drop(pkt, LB_V_RATE_LIMITED);
	event_tell(ctx, pkt, verdict);
	if (pkt->key.proto == LB_PROTO_TCP)
		pkt->action = answer_rst(ctx, pkt);
	else
		pkt->action = answer_unreachable(ctx, pkt);
	return verdict;
}

/* IPv4 without DF may be cut on its way, by whoever rewrites nothing behind the first piece. */
static __always_inline bool may_be_cut(struct ctx_kind *ctx, const struct packet *pkt,
				       const struct lb_flow *flow)
{
	const struct iphdr *ip;

	if (pkt->v6 || flow->forward >= LB_FORWARD_IPIP)
		return false;
	ip = ctx_at(ctx, pkt->l3, sizeof(*ip));
	return ip && !(ip->frag_off & bpf_htons(ANSWER_DF));
}

static __always_inline __u32 refuse_too_big(struct ctx_kind *ctx, struct packet *pkt, __u32 mtu)
{
	if (!may_be_answered(pkt))
		return drop(pkt, LB_V_TOO_BIG);
	if (!answer_allowed(pkt->now))
		return drop(pkt, LB_V_RATE_LIMITED);
	event_tell(ctx, pkt, LB_V_TOO_BIG);
	pkt->action = answer_too_big(ctx, pkt, mtu);
	return LB_V_TOO_BIG;
}

/* What the way takes of the packet as it is; errors about tunnels are believed for ten minutes. */
static __always_inline __u32 forward_mtu(const struct lb_flow *flow,
					 const struct lb_backend *backend, const struct packet *pkt,
					 const struct lb_hop *hop)
{
	struct lb_meta *meta = meta_get();
	struct lb_live *live;
	__u32 mtu = hop->mtu;
	__u64 learnt;

	if (flow->forward < LB_FORWARD_IPIP)
		return mtu;
	live = live_at(flow->backend);
	learnt = live ? READ_ONCE(live->pmtu) : 0;
	if (meta && learnt && pkt->now - (__u32)(learnt >> 32) < PMTU_SECONDS * meta->second &&
	    (__u32)learnt < mtu)
		mtu = learnt;
	return mtu - encap_overhead(flow, backend);
}

/* Nonzero: the frame could not be changed. */
static __always_inline int forward_change(struct ctx_kind *ctx, struct packet *pkt,
					  const struct lb_flow *flow,
					  const struct lb_backend *backend)
{
	if (flow_is_two_way(flow))
		return rewrite_apply(ctx, pkt, &pkt->rewrite);
	if (rewrite_ttl(ctx, pkt))
		return -1;
	if (flow->forward == LB_FORWARD_DSR)
		return 0;
	return encap_apply(ctx, pkt, flow, backend);
}

/* Rewrites and sends; <verdict> if it went to its next hop. */
static __always_inline __u32 flow_forward(struct ctx_kind *ctx, struct packet *pkt,
					  struct lb_flow *flow, struct lb_backend *backend,
					  __u32 verdict)
{
	bool big;
	__u32 mtu;
	int error;

	error = hop_get(ctx, pkt, flow, backend);
	if (dry)
		trace_hop(&pkt->hop, error);
	if (flow_is_two_way(flow))
		rewrite_from(flow, backend, pkt, &pkt->rewrite);
	if (!flow_same(flow, pkt))
		return drop(pkt, LB_V_BAD_STATE);
	count_traffic(flow->service, flow->backend, pkt->from_client, pkt->bytes);
	mtu = forward_mtu(flow, backend, pkt, &pkt->hop);
	big = !error && rewrite_size(ctx, pkt) > mtu;
	if (big && !may_be_cut(ctx, pkt, flow))
		return refuse_too_big(ctx, pkt, mtu);
	if (error && flow->forward == LB_FORWARD_DSR)
		return drop(pkt, LB_V_NO_NEIGHBOUR);
	if (forward_change(ctx, pkt, flow, backend))
		return drop(pkt, LB_V_INTERNAL);
	pkt->action = CTX_STACK;
	if (error || big)
		return LB_V_TO_STACK;
	pkt->action = ctx_send(ctx, &pkt->hop);
	return pkt->action == CTX_STACK ? LB_V_TO_STACK : verdict;
}

#endif
