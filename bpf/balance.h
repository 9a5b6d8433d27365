/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The core: packet -> flow -> choose -> rewrite -> forward, the same for both hooks.
 *
 * Owns: which verdict a packet gets; each gets one, and balance() is the only exit. The entry point
 * includes ctx_xdp.h or ctx_tc.h before this header. What every packet of a flow passes is inline;
 * ICMP, later fragments, new flows and answers are apart.
 * May know: everything in bpf/.
 */
#ifndef LB_BALANCE_H
#define LB_BALANCE_H

#include "lb/ends.h"

#include "forward.h"
#include "frag.h"
#include "guard.h"
#include "icmp.h"

static __always_inline bool end_is_set(__u64 hash)
{
	__u32 at = lb_end_word(hash);
	const __u64 *word = bpf_map_lookup_elem(&lb_ends, &at);
	__u64 bits = lb_end_bits(hash);

	return word && (*word & bits) == bits;
}

/* Whether a service or a backend may be there. */
static __always_inline bool end_may_be(const struct lb_ip *ip, __be16 port, __u8 proto)
{
	return end_is_set(lb_end_hash(lb_end_address(ip), port, proto));
}

/* The same of ends with any port, at either end of the packet. */
static __always_inline bool any_port_may_be(const struct lb_flow_key *key)
{
	return end_is_set(LB_END_ANY_PORT) &&
	       (end_may_be(&key->daddr, 0, key->proto) || end_may_be(&key->saddr, 0, key->proto));
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
static __always_inline bool flow_is_killed(struct lb_flow *flow, const struct lb_backend *backend,
					   const struct packet *pkt)
{
	if (pkt->word & LB_FLOW_KILLED)
		return true;
	if (!(READ_ONCE(backend->flags) & LB_BACKEND_KILL))
		return false;
	if (!dry)
		flow_kill(flow, pkt->word);
	return true;
}

static __always_inline __u32 direction_verdict(const struct packet *pkt)
{
	return pkt->from_client ? LB_V_FORWARDED : LB_V_REPLIED;
}

/* The packet is to be forwarded by its record, or the scratch record. */
static __always_inline bool verdict_forwards(__u32 verdict)
{
	return verdict_in(verdict, VERDICT_BIT(FORWARDED) | VERDICT_BIT(REPLIED) |
					   VERDICT_BIT(FORWARDED_NEW) | VERDICT_BIT(UNTRACKED) |
					   1ULL << FORWARD_WHOLE);
}

/* Modes that need no record can do without when there is none. */
static __always_inline bool verdict_borrows(__u32 verdict, const struct lb_service *service)
{
	return verdict == LB_V_TABLE_FULL && service->forward >= LB_FORWARD_DSR;
}

/*
 * A backend for a packet of no flow: a new flow, one that another CPU opened just now, or the
 * scratch record for a packet that gets no record of its own.
 */
VERIFIED_ALONE __u32 balance_open(struct packet *pkt, const struct lb_service *service)
{
	__u32 verdict;

	if (!pkt || !service)
		return LB_V_INTERNAL;
	verdict = guard_check(pkt, service);
	if (verdict)
		return verdict;
	verdict = dry ? flow_rehearse(pkt, service) : flow_open(pkt, service);
	if (verdict == LB_V_BAD_STATE && flow_find(pkt))
		return direction_verdict(pkt);
	return verdict_borrows(verdict, service) ? flow_borrow(pkt, service) : verdict;
}

/* What becomes of a packet of no flow, short of forwarding it. */
static __always_inline __u32 balance_new(struct ctx_kind *ctx, struct packet *pkt,
					 const struct lb_service *service)
{
	bool syn = (pkt->flags & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_SYN;
	__u32 verdict;

	if (pkt->key.proto == LB_PROTO_TCP && !syn) {
		if (service->forward < LB_FORWARD_DSR)
			return refuse_no_flow(ctx, pkt, service->flags);
		verdict = flow_borrow(pkt, service);
	} else {
		if (pkt->flags & TCP_FIN)
			return drop(pkt, LB_V_BAD_STATE);
		verdict = balance_open(pkt, service);
	}
	if (verdict_forwards(verdict))
		return verdict;
	if (verdict == LB_V_NO_BACKEND || verdict == LB_V_TABLE_FULL ||
	    verdict == LB_V_SNAT_EXHAUSTED)
		return refuse(ctx, pkt, verdict);
	return drop(pkt, verdict);
}

/* A packet of no flow: to be forwarded if verdict_forwards() says so, else its verdict. */
static __always_inline __u32 balance_unknown(struct ctx_kind *ctx, struct packet *pkt)
{
	struct lb_service *service = service_find(&pkt->key);

	if (!service)
		return pkt->bad ? LB_V_NOT_HANDLED : LB_V_NOT_OURS;
	if (pkt->bad)
		return drop(pkt, LB_V_MALFORMED);
	if (pkt->ttl <= 1)
		return LB_V_TTL_EXPIRED;
	return balance_new(ctx, pkt, service);
}

/* The record of a verdict that forwards. */
static __always_inline struct lb_flow *flow_opened(struct packet *pkt, __u32 verdict)
{
	struct scratch *scratch;
	struct lb_flow *flow;

	if (verdict == LB_V_UNTRACKED) {
		scratch = scratch_get();
		if (!scratch)
			return NULL;
		pkt->from_client = true;
		pkt->word = scratch->flow.word;
		return &scratch->flow;
	}
	flow = flow_at(pkt->record);
	if (flow && verdict == LB_V_FORWARDED_NEW) {
		pkt->from_client = true;
		pkt->word = READ_ONCE(flow->word);
	}
	return flow;
}

/* A client's SYN to a flow that is over: the port is used again (RFC 9293 section 3.6.1). */
static __always_inline bool flow_is_reused(const struct packet *pkt)
{
	__u32 state = LB_FLOW_STATE(pkt->word);

	if (!pkt->from_client || (pkt->flags & (TCP_SYN | TCP_ACK | TCP_RST)) != TCP_SYN)
		return false;
	return state == LB_FLOW_CLOSING || state == LB_FLOW_RESET || pkt->word & LB_FLOW_KILLED;
}

static __always_inline void flow_note(struct lb_flow *flow, struct packet *pkt, __u32 verdict)
{
	if (verdict == LB_V_UNTRACKED || verdict == FORWARD_WHOLE ||
	    pkt->fragment == FRAGMENT_LATER)
		return;
	/* The packet that opened it is in the record already, and is no second one. */
	if (verdict != LB_V_FORWARDED_NEW)
		flow_see(flow, pkt);
	if (pkt->fragment == FRAGMENT_FIRST && !dry)
		frag_note(pkt);
}

static __always_inline __u32 balance_known(struct ctx_kind *ctx, struct packet *pkt,
					   struct lb_flow *flow, __u32 verdict)
{
	struct lb_backend *backend = backend_at(flow->backend);

	if (!backend)
		return drop(pkt, LB_V_INTERNAL);
	if (dry)
		trace_flow(flow, pkt);
	if (flow_is_killed(flow, backend, pkt))
		return refuse(ctx, pkt, LB_V_FLOW_KILLED);
	if (pkt->ttl <= 1)
		return LB_V_TTL_EXPIRED;
	flow_note(flow, pkt, verdict);
	if (verdict == FORWARD_WHOLE)
		verdict = LB_V_ICMP_FORWARDED;
	return flow_forward(ctx, pkt, flow, backend, verdict);
}

/* Ends the flow of a SYN that begins another one. False: it does not, or there is none. */
static __always_inline bool flow_is_over(struct packet *pkt)
{
	struct lb_flow *flow;

	if (!flow_is_reused(pkt))
		return false;
	flow = flow_at(pkt->record);
	if (flow && !dry)
		flow_release(pkt->record, flow, pkt->word);
	return true;
}

static __always_inline bool may_be_reply(const struct lb_flow_key *key)
{
	return end_may_be(&key->saddr, key->sport, key->proto) || any_port_may_be(key);
}

/*
 * A TCP or UDP packet: the flow of one that is to be forwarded is pkt->record. A packet with
 * neither a service nor a backend at its ends costs no more than finding that out.
 */
static __always_inline __u32 balance_flow(struct ctx_kind *ctx, struct packet *pkt)
{
	const struct lb_flow_key *key = &pkt->key;
	bool by_client = end_may_be(&key->daddr, key->dport, key->proto);
	bool any = !by_client && any_port_may_be(key);
	struct lb_meta *meta;

	if (!by_client && !any && !end_may_be(&key->saddr, key->sport, key->proto))
		return pkt->bad ? LB_V_NOT_HANDLED : LB_V_NOT_OURS;
	meta = meta_get();
	if (!meta || pkt->bad)
		return balance_unknown(ctx, pkt);
	pkt->hash = hash_key(key, meta->hash_keys);
	if ((by_client || any) && find_by_client(pkt))
		return flow_is_over(pkt) ? balance_unknown(ctx, pkt) : LB_V_FORWARDED;
	if ((!by_client || may_be_reply(key)) && find_by_backend(pkt))
		return LB_V_REPLIED;
	return balance_unknown(ctx, pkt);
}

/* A fragment without ports: its record is found, or the verdict without one. */
static __always_inline __u32 balance_later(struct packet *pkt)
{
	if (pkt->key.proto != LB_PROTO_TCP && pkt->key.proto != LB_PROTO_UDP)
		return LB_V_NOT_HANDLED;
	if (frag_find(pkt))
		return direction_verdict(pkt);
	pkt->key.proto = LB_PROTO_ICMP; /* the entry of an address */
	return service_find(&pkt->key) ? drop(pkt, LB_V_FRAG_UNKNOWN) : LB_V_NOT_OURS;
}

static __always_inline __u32 balance_packet(struct ctx_kind *ctx, struct packet *pkt)
{
	__u32 verdict = packet_parse(ctx, pkt);
	struct lb_flow *flow;

	if (verdict == PARSED_FLOW) {
		verdict = balance_flow(ctx, pkt);
	} else if (verdict == PARSED_RARE) {
		verdict = pkt->fragment == FRAGMENT_LATER ? balance_later(pkt)
							  : icmp_packet(ctx, pkt);
	}
	if (!verdict_forwards(verdict))
		return verdict;
	flow = flow_opened(pkt, verdict);
	return flow ? balance_known(ctx, pkt, flow, verdict) : drop(pkt, LB_V_INTERNAL);
}

/* One per CPU, not on the stack: what is called from here needs that. No packet interrupts another.
 */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct packet);
} lb_packet SEC(".maps");

static __always_inline struct packet *packet_begin(struct ctx_kind *ctx)
{
	__u32 zero = 0;
	struct packet *pkt = bpf_map_lookup_elem(&lb_packet, &zero);

	if (!pkt)
		return NULL;
	__builtin_memset(&pkt->word, 0, sizeof(*pkt) - offsetof(struct packet, word));
	pkt->key.sport = 0;
	pkt->key.dport = 0;
	pkt->key.zone = 0;
	pkt->key.pad = 0;
	pkt->hash = 0;
	pkt->action = CTX_NOTHING;
	pkt->bytes = ctx_len(ctx);
	pkt->now = ticks_now();
	return pkt;
}

static __always_inline int balance(struct ctx_kind *ctx)
{
	struct packet *pkt = packet_begin(ctx);
	__u32 verdict;

	if (!pkt)
		return CTX_NOTHING;
	verdict = balance_packet(ctx, pkt);
	if (!event_is_common(verdict))
		event_tell(ctx, pkt, verdict);
	count_verdict(verdict, pkt->bytes);
	if (dry)
		trace_verdict(pkt, verdict);
	return pkt->action;
}

#endif
