/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Flows: finding the one of a packet, moving its state, ending it.
 *
 * Owns: the state word of records (one function moves it), lb_index, and the kernel's fields of
 * lb_live but for pending_in, which choose.h adds to.
 *
 *  state        left on                                       to           on the backend (ss)
 *  SYN          SYN-ACK that fits the SYN                     SYNACK       none or SYN-RECV
 *               RST of the backend that acks the SYN          RESET
 *  SYNACK       client's ACK of the SYN-ACK, or data of the   OPEN         SYN-RECV
 *               backend (TCP fast open, RFC 7413)
 *  OPEN         FIN of the client / of the backend            FIN_*        ESTAB
 *  FIN_CLIENT   FIN of the backend                            CLOSING      CLOSE-WAIT
 *  FIN_BACKEND  FIN of the client                             CLOSING      FIN-WAIT-1, FIN-WAIT-2
 *  CLOSING      a new SYN of the client: a new flow                        LAST-ACK, TIME-WAIT
 *  RESET        the same                                                   none
 *  each state but SYN: RST with exactly the next sequence number of its side -> RESET
 *  each state: idle for lb_meta.timeout_ns[state] -> FREE
 *
 * PENDING is set in SYN and SYNACK, COUNTED from OPEN to FIN_*: a flow counts while the backend's
 * application has or may have the connection. Tracking tolerates losses and retransmissions; only
 * RST and promotion are strict. A packet is forwarded whatever its effect here.
 * May know: packet.h, record.h.
 */
#ifndef LB_FLOW_H
#define LB_FLOW_H

#include "packet.h"
#include "record.h"

/* A sequence number of the client this far from the expected one is not its own. */
#define SEQ_PLAUSIBLE (1U << 24)
/* A flow silent for so long asks for its next hops again. */
#define FLOW_STALE_NS 1000000000LL

static __always_inline void flow_key_forward(const struct lb_flow *flow, struct lb_flow_key *key)
{
	key->saddr = flow->client;
	key->daddr = flow->vip;
	key->sport = flow->client_port;
	key->dport = flow->vip_port;
	key->zone = flow->zone;
	key->proto = flow->proto;
	key->pad = 0;
}

static __always_inline void flow_key_reverse(const struct lb_flow *flow, struct lb_flow_key *key)
{
	key->saddr = flow->backend_addr;
	key->daddr = flow->client;
	key->sport = flow->backend_port;
	key->dport = flow->client_port;
	key->zone = flow->zone;
	key->proto = flow->proto;
	key->pad = 0;
}

static __always_inline bool flow_is_forward(const struct lb_flow *flow,
					    const struct lb_flow_key *key)
{
	return key->sport == flow->client_port && key->dport == flow->vip_port &&
	       ip_equal(&key->saddr, &flow->client) && ip_equal(&key->daddr, &flow->vip);
}

static __always_inline bool flow_is_reverse(const struct lb_flow *flow,
					    const struct lb_flow_key *key)
{
	return key->sport == flow->backend_port && key->dport == flow->client_port &&
	       ip_equal(&key->saddr, &flow->backend_addr) && ip_equal(&key->daddr, &flow->client);
}

/* The live flow of a packet, or NULL. Fills pkt->record, word and from_client. */
static __always_inline struct lb_flow *flow_find(struct packet *pkt)
{
	__u64 *ref = bpf_map_lookup_elem(&lb_index, &pkt->key);
	struct lb_flow *flow;

	if (!ref)
		return NULL;
	pkt->word = READ_ONCE(*ref);
	pkt->record = LB_REF_RECORD(pkt->word);
	flow = bpf_map_lookup_elem(&lb_flows, &pkt->record);
	if (!flow)
		return NULL;
	/* The entry may be of a flow that ended, and the record another's by now. */
	if (LB_FLOW_GENERATION(READ_ONCE(flow->word)) != LB_REF_GENERATION(pkt->word))
		return NULL;
	pkt->word = READ_ONCE(flow->word);
	if (LB_FLOW_STATE(pkt->word) <= LB_FLOW_CLAIMED)
		return NULL;
	pkt->from_client = flow_is_forward(flow, &pkt->key);
	if (!pkt->from_client && !flow_is_reverse(flow, &pkt->key))
		return NULL;
	return flow;
}

/* Whether the record still is what flow_find() saw, after it was read. */
static __always_inline bool flow_same(const struct lb_flow *flow, const struct packet *pkt)
{
	return LB_FLOW_GENERATION(READ_ONCE(flow->word)) == LB_FLOW_GENERATION(pkt->word);
}

/* What counts in a state: COUNTED and PENDING follow from it. */
static __always_inline __u64 flow_flags(__u32 state, __u64 killed)
{
	if (killed)
		return killed;
	if (state == LB_FLOW_SYN || state == LB_FLOW_SYNACK)
		return LB_FLOW_PENDING;
	if (state >= LB_FLOW_OPEN && state <= LB_FLOW_FIN_BACKEND)
		return LB_FLOW_COUNTED;
	return 0;
}

/* Additions first, so that the load of a backend never dips while a flow is promoted. */
static __always_inline void flow_account(__u32 backend, __u64 old, __u64 new)
{
	struct lb_live *live = bpf_map_lookup_elem(&lb_live, &backend);
	__u64 on = new & ~old;
	__u64 off = old & ~new;

	if (!live)
		return;
	if (on & LB_FLOW_COUNTED)
		__sync_fetch_and_add(&live->opened, 1);
	if (off & LB_FLOW_PENDING)
		__sync_fetch_and_add(&live->pending_out, 1);
	if (off & LB_FLOW_COUNTED)
		__sync_fetch_and_add(&live->closed, 1);
}

/*
 * The one function that moves a published flow. False: the word is not <old> any more and nothing
 * was done. Who moves it accounts for it, so that each step counts once.
 */
static __always_inline bool flow_move(struct lb_flow *flow, __u64 old, __u32 state, __u64 killed)
{
	__u32 backend = flow->backend;
	__u64 new = (__u64)LB_FLOW_GENERATION(old) << 32 | state | flow_flags(state, killed);

	if (__sync_val_compare_and_swap(&flow->word, old, new) != old)
		return false;
	flow_account(backend, old, new);
	return true;
}

static __always_inline void live_failed(__u32 backend)
{
	struct lb_live *live = bpf_map_lookup_elem(&lb_live, &backend);

	if (live)
		__sync_fetch_and_add(&live->failed, 1);
}

/* Nobody else deletes or overwrites an entry that names this flow: its end is decided once. */
static __always_inline void index_remove(const struct lb_flow_key *key, __u64 ref)
{
	__u64 *entry = bpf_map_lookup_elem(&lb_index, key);

	if (entry && READ_ONCE(*entry) == ref)
		bpf_map_delete_elem(&lb_index, key);
}

/* The one release path. False: somebody else was first, or the flow moved on from <old>. */
VERIFIED_ALONE int flow_release(__u32 record, struct lb_flow *flow, __u64 old)
{
	__u64 ref = LB_REF(record, LB_FLOW_GENERATION(old));
	struct lb_flow_key key;

	if (!flow || !flow_move(flow, old, LB_FLOW_FREE, 0))
		return false;
	flow_key_forward(flow, &key);
	index_remove(&key, ref);
	flow_key_reverse(flow, &key);
	index_remove(&key, ref);
	record_put(record);
	return true;
}

/* Uncounted at once; the record stays so that both sides are told by RST. */
static __always_inline void flow_kill(struct lb_flow *flow, __u64 word)
{
	if (!(word & LB_FLOW_KILLED))
		flow_move(flow, word, LB_FLOW_STATE(word), LB_FLOW_KILLED);
}

static __always_inline bool seq_plausible(__u32 seq, __u32 expected)
{
	return seq - expected + SEQ_PLAUSIBLE < 2 * SEQ_PLAUSIBLE;
}

static __always_inline __u32 state_after_fin(__u32 state, __u32 mine, __u32 other)
{
	if (state == LB_FLOW_OPEN)
		return mine;
	return state == other ? LB_FLOW_CLOSING : state;
}

static __always_inline __u32 state_by_client(const struct lb_flow *flow, __u32 state,
					     const struct packet *pkt)
{
	bool plausible = seq_plausible(pkt->seq, flow->seq_client);

	if (pkt->flags & TCP_RST)
		return pkt->seq == flow->seq_client ? LB_FLOW_RESET : state;
	if (pkt->flags & TCP_SYN || !plausible)
		return state;
	if (state == LB_FLOW_SYNACK && pkt->flags & TCP_ACK && pkt->ack == flow->seq_backend)
		state = LB_FLOW_OPEN;
	if (pkt->flags & TCP_FIN)
		return state_after_fin(state, LB_FLOW_FIN_CLIENT, LB_FLOW_FIN_BACKEND);
	return state;
}

static __always_inline bool syn_is_acked(const struct lb_flow *flow, const struct packet *pkt)
{
	/* Up to 64 KB more than the SYN itself: data in it (RFC 7413). */
	return pkt->flags & TCP_ACK && pkt->ack - flow->seq_client <= 0xffff;
}

static __always_inline __u32 state_by_backend(const struct lb_flow *flow, __u32 state,
					      const struct packet *pkt)
{
	if (pkt->flags & TCP_RST) {
		bool fits = state == LB_FLOW_SYN
				    ? pkt->flags & TCP_ACK && pkt->ack == flow->seq_client
				    : pkt->seq == flow->seq_backend;

		return fits ? LB_FLOW_RESET : state;
	}
	if (pkt->flags & TCP_SYN)
		return state == LB_FLOW_SYN && syn_is_acked(flow, pkt) ? LB_FLOW_SYNACK : state;
	if (state == LB_FLOW_SYNACK && pkt->payload && pkt->seq == flow->seq_backend)
		state = LB_FLOW_OPEN;
	if (pkt->flags & TCP_FIN)
		return state_after_fin(state, LB_FLOW_FIN_BACKEND, LB_FLOW_FIN_CLIENT);
	return state;
}

/* Out of line: few packets of a connection can move its state. */
VERIFIED_ALONE int flow_track(struct lb_flow *flow, const struct packet *pkt)
{
	if (!flow || !pkt)
		return 0;
	for (int i = 0; i < LB_CAS_TRIES; i++) {
		__u64 old = READ_ONCE(flow->word);
		__u32 state = LB_FLOW_STATE(old);
		__u32 next = pkt->from_client ? state_by_client(flow, state, pkt)
					      : state_by_backend(flow, state, pkt);

		if (LB_FLOW_GENERATION(old) != LB_FLOW_GENERATION(pkt->word) || next == state)
			break;
		if (!flow_move(flow, old, next, old & LB_FLOW_KILLED))
			continue;
		if (next == LB_FLOW_RESET && state == LB_FLOW_SYN && !pkt->from_client)
			live_failed(flow->backend);
		break;
	}
	return 0;
}

static __always_inline __u32 packet_end(const struct packet *pkt)
{
	return pkt->seq + pkt->payload + (pkt->flags & TCP_FIN ? 1 : 0);
}

static __always_inline void flow_advance_client(struct lb_flow *flow, const struct packet *pkt)
{
	__u32 end = packet_end(pkt);

	if (pkt->flags & TCP_SYN) {
		/* The port's last user may have left a half-open flow: the newest SYN is right. */
		if (LB_FLOW_STATE(pkt->word) == LB_FLOW_SYN)
			flow->seq_client = pkt->seq + 1;
		return;
	}
	if (end - flow->seq_client - 1 < SEQ_PLAUSIBLE)
		flow->seq_client = end;
}

/* The backend is trusted: what it sends and acks is so, also after packets went unseen. */
static __always_inline void flow_advance_backend(struct lb_flow *flow, const struct packet *pkt)
{
	__u32 end = packet_end(pkt);

	if (pkt->flags & TCP_ACK && (__s32)(pkt->ack - flow->seq_client) > 0)
		flow->seq_client = pkt->ack;
	if (pkt->flags & TCP_SYN) {
		if (LB_FLOW_STATE(pkt->word) <= LB_FLOW_SYNACK)
			flow->seq_backend = pkt->seq + 1;
		return;
	}
	if ((__s32)(end - flow->seq_backend) > 0)
		flow->seq_backend = end;
}

/* Notes that the packet was seen, and what it says. */
static __always_inline void flow_see(struct lb_flow *flow, struct packet *pkt)
{
	__s64 idle;

	pkt->now = bpf_ktime_get_coarse_ns();
	idle = pkt->now - flow->seen_at;
	pkt->stale = idle >= FLOW_STALE_NS;
	if (idle > 0)
		WRITE_ONCE(flow->seen_at, pkt->now);
	if (pkt->flags & (TCP_SYN | TCP_FIN | TCP_RST) || LB_FLOW_STATE(pkt->word) < LB_FLOW_OPEN)
		flow_track(flow, pkt);
	if (pkt->flags & TCP_RST)
		return;
	if (pkt->from_client)
		flow_advance_client(flow, pkt);
	else
		flow_advance_backend(flow, pkt);
}

#endif
