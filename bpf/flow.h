/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Flows: moving their state, ending them.
 *
 * Owns: the state word of records (one function moves it), and the kernel's fields of lb_live but
 * for pending_in, which choose.h adds to.
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
 *  UDP_NEW      the backend's reply                           UDP_OPEN
 *  each state: idle for lb_meta.timeout[state] -> FREE (by way of CLAIMED, while it is taken
 * apart), or RESTING if its port must rest (snat)
 *
 * Where replies do not pass (dsr, ipip, gue) only the client is seen: its third packet makes SYN
 * OPEN and UDP_NEW UDP_OPEN, its FIN makes OPEN CLOSING.
 *
 * PENDING is set in SYN, SYNACK and UDP_NEW, COUNTED from OPEN to FIN_* and in UDP_OPEN: a flow
 * counts while the backend's application has or may have the connection. Tracking tolerates losses
 * and retransmissions; only RST and promotion are strict. A packet is forwarded whatever its effect
 * here.
 * May know: record.h.
 */
#ifndef LB_FLOW_H
#define LB_FLOW_H

#include "record.h"

/* A sequence number of the client this far from the expected one is not its own. */
#define SEQ_PLAUSIBLE (1U << 24)

/* What counts in a state: COUNTED and PENDING follow from it. */
static __always_inline __u64 flow_flags(__u32 state, __u64 killed)
{
	if (killed)
		return killed;
	if (state == LB_FLOW_SYN || state == LB_FLOW_SYNACK || state == LB_FLOW_UDP_NEW)
		return LB_FLOW_PENDING;
	if ((state >= LB_FLOW_OPEN && state <= LB_FLOW_FIN_BACKEND) || state == LB_FLOW_UDP_OPEN)
		return LB_FLOW_COUNTED;
	return 0;
}

/* Additions first, so that the load of a backend never dips while a flow is promoted. */
static __always_inline void flow_account(__u32 backend, __u32 service, __u64 old, __u64 new)
{
	struct lb_live *live = live_at(backend);
	struct lb_traffic *traffic = bpf_map_lookup_elem(&lb_svc_stats, &service);
	__u64 on = new & ~old;
	__u64 off = old & ~new;

	if (!live)
		return;
	if (on & LB_FLOW_COUNTED) {
		__sync_fetch_and_add(&live->opened, 1);
		if (traffic)
			traffic->opened++;
	}
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
	__u32 backend = flow->backend; /* once it is moved, it may be another's */
	__u32 service = flow->service;
	__u64 new = (__u64)LB_FLOW_GENERATION(old) << 32 | state | flow_flags(state, killed);

	if (__sync_val_compare_and_swap(&flow->word, old, new) != old)
		return false;
	flow_account(backend, service, old, new);
	return true;
}

static __always_inline void live_failed(__u32 backend)
{
	struct lb_live *live = live_at(backend);

	if (live)
		__sync_fetch_and_add(&live->failed, 1);
}

/* Replies do not find it any more. */
static __always_inline void flow_unindex(const struct lb_flow *flow, __u32 record, __u64 word)
{
	struct lb_backend *backend = backend_at(flow->backend);
	struct lb_meta *meta = meta_get();
	struct lb_flow_key key;
	__u64 hash;

	if (!meta || !backend || !flow_is_two_way(flow))
		return;
	flow_key_reverse(flow, backend, &key);
	hash = hash_key(&key, meta->hash_keys);
	index_remove(hash, LB_ENTRY(hash_tag(hash), LB_FLOW_GENERATION(word), record));
}

/* Gives back a claimed record that holds its client's key. */
static __always_inline void flow_put(struct lb_flow *flow, __u32 record)
{
	struct lb_meta *meta = meta_get();
	struct lb_flow_key key;

	if (!meta)
		return;
	flow_key_forward(flow, &key);
	record_put(flow, record, hash_key(&key, meta->hash_keys));
}

/* The one release path. False: somebody else was first, or the flow moved on from <old>. */
VERIFIED_ALONE int flow_release(__u32 record, struct lb_flow *flow, __u64 old)
{
	if (!flow || !flow_move(flow, old, LB_FLOW_CLAIMED, 0))
		return false;
	flow_unindex(flow, record, old);
	flow_put(flow, record);
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

/* Where replies do not pass: the third packet proves the client. */
static __always_inline __u32 state_one_way(const struct lb_flow *flow, __u64 word,
					   const struct packet *pkt)
{
	__u32 state = LB_FLOW_STATE(word);
	bool third = word & LB_FLOW_SEEN_TWICE;

	if (state == LB_FLOW_UDP_NEW)
		return third ? LB_FLOW_UDP_OPEN : state;
	if (pkt->flags & TCP_RST)
		return pkt->seq == flow->seq_client ? LB_FLOW_RESET : state;
	if (pkt->flags & TCP_SYN || !seq_plausible(pkt->seq, flow->seq_client))
		return state;
	/* Also of one that never was proved: its last packet is not to prove it. */
	if (pkt->flags & TCP_FIN && (state == LB_FLOW_OPEN || (state == LB_FLOW_SYN && !third)))
		return LB_FLOW_CLOSING;
	return state == LB_FLOW_SYN && third ? LB_FLOW_OPEN : state;
}

static __always_inline __u32 state_next(const struct lb_flow *flow, __u64 word,
					const struct packet *pkt)
{
	__u32 state = LB_FLOW_STATE(word);

	if (!flow_is_two_way(flow))
		return state_one_way(flow, word, pkt);
	if (flow->proto == LB_PROTO_UDP)
		return pkt->from_client ? state : LB_FLOW_UDP_OPEN;
	return pkt->from_client ? state_by_client(flow, state, pkt)
				: state_by_backend(flow, state, pkt);
}

/* A second packet of the client in a one-way mode; a SYN sent again is none. */
static __always_inline void flow_see_twice(struct lb_flow *flow, __u64 word,
					   const struct packet *pkt)
{
	if (word & LB_FLOW_SEEN_TWICE || flow_is_two_way(flow) || pkt->flags & TCP_SYN)
		return;
	__sync_val_compare_and_swap(&flow->word, word, word | LB_FLOW_SEEN_TWICE);
}

/* A moving average of an eighth; CPUs that write at once lose one sample. */
static __always_inline void live_latency(const struct lb_flow *flow)
{
	struct lb_live *live = live_at(flow->backend);
	__u32 took = (__u32)(bpf_ktime_get_ns() / NS_PER_US) - flow->seq_backend;
	__u64 old;

	if (!live)
		return;
	old = READ_ONCE(live->syn_us);
	WRITE_ONCE(live->syn_us, old ? old - old / 8 + took / 8 + 1 : took + 1);
}

/* Before the SYN-ACK, seq_backend is the time of the SYN in microseconds if it is to be measured.
 */
static __always_inline void flow_moved(struct lb_flow *flow, __u32 from, __u32 to,
				       const struct packet *pkt)
{
	if (from != LB_FLOW_SYN || pkt->from_client)
		return;
	if (to == LB_FLOW_RESET)
		live_failed(flow->backend);
	else if (to == LB_FLOW_SYNACK && flow->seq_backend)
		live_latency(flow);
}

/* Out of line: few packets of a connection can move its state. */
VERIFIED_ALONE int flow_track(struct lb_flow *flow, const struct packet *pkt)
{
	if (!flow || !pkt)
		return 0;
	for (int i = 0; i < LB_CAS_TRIES; i++) {
		__u64 old = READ_ONCE(flow->word);
		__u32 state = LB_FLOW_STATE(old);
		__u32 next = state_next(flow, old, pkt);

		/* It was taken apart meanwhile, or is another flow's. */
		if (LB_FLOW_GENERATION(old) != LB_FLOW_GENERATION(pkt->word) || !flow_is_live(old))
			break;
		if (next == state) {
			flow_see_twice(flow, old, pkt);
			break;
		}
		if (!flow_move(flow, old, next, old & LB_FLOW_KILLED))
			continue;
		flow_moved(flow, state, next, pkt);
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

static __always_inline bool flow_may_move(const struct packet *pkt)
{
	__u32 state = LB_FLOW_STATE(pkt->word);

	if (state == LB_FLOW_UDP_NEW)
		return true;
	return pkt->flags & (TCP_SYN | TCP_FIN | TCP_RST) || state < LB_FLOW_OPEN;
}

/* Notes that the packet was seen, and what it says. */
static __always_inline void flow_see(struct lb_flow *flow, struct packet *pkt)
{
	if (dry)
		return;
	if (READ_ONCE(flow->seen) != pkt->now)
		WRITE_ONCE(flow->seen, pkt->now);
	if (flow_may_move(pkt))
		flow_track(flow, pkt);
	if (pkt->flags & TCP_FIN) /* it may prove a client and close its side */
		flow_track(flow, pkt);
	if (pkt->flags & TCP_RST || pkt->key.proto != LB_PROTO_TCP)
		return;
	if (pkt->from_client)
		flow_advance_client(flow, pkt);
	else
		flow_advance_backend(flow, pkt);
}

#endif
