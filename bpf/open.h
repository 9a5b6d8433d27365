/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Opening a flow: a record, a backend, the index entry.
 *
 * Owns: the records that are being filled, lb_half, lb_snat.next. Whatever fails is undone and
 * leaves no trace but a generation of its own. The record is claimed where none has its key, so
 * that of two CPUs with the same SYN one wins; it becomes live when replies can find it.
 * May know: flow.h, choose.h, rewrite.h.
 */
#ifndef LB_OPEN_H
#define LB_OPEN_H

#include "choose.h"
#include "flow.h"
#include "rewrite.h"

#define SNAT_TRIES 16 /* ports tried towards one backend */

/* Scratch of one packet on one CPU: stacks have 512 bytes with all their callers'. */
struct scratch {
	struct choice choice;
	struct lb_flow flow; /* of a packet without a record */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct scratch);
} lb_scratch SEC(".maps");

static __always_inline struct scratch *scratch_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&lb_scratch, &zero);
}

/* A half-open flow that stood in the ring as long as the ring is ends here. */
static __always_inline void half_evict(__u64 cell)
{
	__u32 record = cell;
	struct lb_flow *flow = flow_at(record);
	__u64 word;
	__u32 state;

	if (!cell || !flow)
		return;
	word = READ_ONCE(flow->word);
	state = LB_FLOW_STATE(word);
	if (LB_FLOW_GENERATION(word) != cell >> 32)
		return;
	if (state == LB_FLOW_SYN || state == LB_FLOW_SYNACK || state == LB_FLOW_UDP_NEW)
		flow_release(record, flow, word);
}

/* Before a record is taken: what is evicted may be what there is to take. */
static __always_inline __u64 *half_place(void)
{
	struct lb_meta *meta = meta_get();
	__u32 at;

	if (!meta)
		return NULL;
	at = __sync_fetch_and_add(&meta->half_tail, 1) % LB_HALF_FLOWS(max_flows);
	return bpf_map_lookup_elem(&lb_half, &at);
}

static __always_inline void flow_fill_client(struct lb_flow *flow, const struct packet *pkt,
					     const struct lb_service *service, __u16 vip)
{
	flow->seen = pkt->now;
	flow->client = pkt->key.saddr;
	flow->vip = vip;
	flow->client_port = pkt->key.sport;
	flow->source_port = pkt->key.sport;
	flow->vip_port = pkt->key.dport;
	flow->zone = pkt->key.zone;
	flow->forward = service->forward;
	flow->service = service->id;
	flow->snat = 0;
	flow->way = 0;
	flow->seq_client = pkt->seq + 1;
	flow->seq_backend = 0;
	barrier();
	flow->proto = pkt->key.proto; /* from here on it holds the key */
}

/* Whether the key is free, or belongs to <record>, which a new flow takes over. */
static __always_inline int rehearse_insert(const struct lb_flow_key *key, __u64 hash, __u32 record)
{
	__u64 entry = 0;

	index_search_all(key, hash, &entry);
	return !entry || LB_ENTRY_RECORD(entry) == record ? 0 : -EEXIST;
}

static __always_inline int insert_reverse(struct lb_flow *flow, __u32 record)
{
	struct lb_backend *backend = backend_at(flow->backend);
	struct lb_meta *meta = meta_get();
	struct lb_flow_key key;
	__u64 hash;

	if (!meta || !backend)
		return -EBUSY;
	flow_key_reverse(flow, backend, &key);
	hash = hash_key(&key, meta->hash_keys);
	if (dry)
		return rehearse_insert(&key, hash, record);
	return index_insert(&key, hash,
			    LB_ENTRY(hash_tag(hash), LB_FLOW_GENERATION(flow->word), record));
}

/* Ports go round, so that the one given up first is given out first; the client's own if it fits.
 */
static __always_inline __u16 snat_port(struct lb_snat *snat, __u16 client_port, int tried)
{
	__u16 own = bpf_ntohs(client_port);

	if (!tried && own >= snat->first_port && own - snat->first_port < snat->n_ports)
		return own;
	if (!snat->n_ports)
		return 0;
	if (dry)
		return snat->first_port + (READ_ONCE(snat->next) + tried) % snat->n_ports;
	return snat->first_port + __sync_fetch_and_add(&snat->next, 1) % snat->n_ports;
}

/* A port of one source address towards the flow's backend. */
static __always_inline int snat_reverse(struct lb_flow *flow, __u32 record,
					const struct lb_service *service)
{
	int error = -EEXIST;

	for (int tried = 0; tried < SNAT_TRIES && error == -EEXIST; tried++) {
		__u32 turn =
			service->n_snat ? ((__u32)flow->client.w[3] + tried) % service->n_snat : 0;
		__u32 row = service->snat + turn;
		struct lb_snat *snat = snat_at(row);

		if (!snat || !service->n_snat)
			return -EEXIST;
		flow->snat = row;
		flow->source_port = bpf_htons(snat_port(snat, flow->client_port, tried));
		error = insert_reverse(flow, record);
	}
	return error;
}

/* Gives a two-way flow the entry its replies find. */
VERIFIED_ALONE int open_one_reverse(struct lb_flow *flow, __u32 record,
				    const struct lb_service *service)
{
	if (!flow || !service)
		return -EBUSY;
	if (!flow_is_two_way(flow))
		return 0;
	if (flow->forward == LB_FORWARD_SNAT)
		return snat_reverse(flow, record, service);
	return insert_reverse(flow, record);
}

/* Tries backends until one's reverse key is free. 0, or the verdict that refuses the flow. */
static __always_inline __u32 open_reverse(struct lb_flow *flow, struct choice *choice, __u32 record,
					  const struct lb_service *service)
{
	int error;

	if (!choice->backend)
		return LB_V_NO_BACKEND;
	for (__u32 tried = 0; tried < CHOOSE_TRIES && choice->backend; tried++) {
		flow->backend = choice->backend;
		error = open_one_reverse(flow, record, service);
		if (!error)
			return 0;
		if (error != -EEXIST) {
			choice_refund(choice);
			return error == -ENOSPC ? LB_V_TABLE_FULL : LB_V_BAD_STATE;
		}
		choose_again(choice, tried);
	}
	if (choice->backend)
		choice_refund(choice);
	return flow->forward == LB_FORWARD_SNAT ? LB_V_SNAT_EXHAUSTED : LB_V_NAT_COLLISION;
}

/* Makes the flow findable: from here on other CPUs may move it. */
static __always_inline void open_publish(struct lb_flow *flow)
{
	__u32 state = flow->proto == LB_PROTO_UDP ? LB_FLOW_UDP_NEW : LB_FLOW_SYN;

	__sync_lock_test_and_set(&flow->word, (flow->word >> 32) << 32 | state | LB_FLOW_PENDING);
}

static __always_inline void open_pool(struct scratch *scratch, const struct lb_service *service,
				      const struct lb_flow_key *key, bool untracked)
{
	struct lb_pool *pool = pool_at(service->pool);

	__builtin_memset(&scratch->choice, 0, sizeof(scratch->choice));
	choose(&scratch->choice, pool, key, untracked);
}

/* Before the SYN-ACK, seq_backend is the time of the SYN in microseconds if it is to be measured.
 */
static __always_inline void open_clock(struct lb_flow *flow, const struct choice *choice)
{
	if (choice->latency && flow->proto == LB_PROTO_TCP)
		flow->seq_backend = (__u32)(bpf_ktime_get_ns() / NS_PER_US) | 1;
}

/* Notes what is the same for every packet of the flow. */
static __always_inline void open_sums(struct lb_flow *flow, struct packet *pkt)
{
	struct lb_backend *backend = backend_at(flow->backend);

	if (!backend || !flow_is_two_way(flow))
		return;
	pkt->from_client = true;
	rewrite_from(flow, backend, pkt, &pkt->rewrite);
	rewrite_sum(flow, pkt, &pkt->rewrite);
}

/* A backend for the claimed <flow>, which is live then, or is given back. */
VERIFIED_ALONE __u32 open_record(struct lb_flow *flow, struct packet *pkt,
				 const struct lb_service *service)
{
	struct scratch *scratch = scratch_get();
	__u32 verdict;

	if (!flow || !pkt || !service || !scratch)
		return LB_V_INTERNAL;
	open_pool(scratch, service, &pkt->key, false);
	verdict = open_reverse(flow, &scratch->choice, pkt->record, service);
	if (verdict) {
		record_put(flow, pkt->record, pkt->hash);
		return verdict;
	}
	open_clock(flow, &scratch->choice);
	open_sums(flow, pkt);
	open_publish(flow);
	return LB_V_FORWARDED_NEW;
}

/* A claimed record with the client's key. LB_V_BAD_STATE: another CPU has the key. */
static __always_inline __u32 open_claim(struct packet *pkt, const struct lb_service *service)
{
	__u16 vip = READ_ONCE(service->vip);
	const struct lb_ip *addr = vip_at(vip);
	struct lb_flow *flow;
	__u64 *lock;
	int error;

	/* The kernel may give the memory of an entry that was replaced to another one at once. */
	if (!addr || !ip_equal(addr, &pkt->key.daddr))
		return LB_V_BAD_STATE;
	lock = key_lock(pkt->hash);
	if (!lock)
		return LB_V_BAD_STATE;
	error = record_take(&pkt->key, pkt->hash, &pkt->record);
	flow = flow_at(pkt->record);
	if (!error && flow)
		flow_fill_client(flow, pkt, service, vip);
	key_unlock(lock);
	if (error)
		return error == -ENOSPC ? LB_V_TABLE_FULL : LB_V_BAD_STATE;
	return flow ? 0 : LB_V_INTERNAL;
}

/* A flow for <pkt>: LB_V_FORWARDED_NEW and pkt->record, or why there is none. */
static __always_inline __u32 flow_open(struct packet *pkt, const struct lb_service *service)
{
	__u64 *half = half_place();
	struct lb_flow *flow;
	__u32 verdict;

	if (!pkt || !service || !half)
		return LB_V_INTERNAL;
	half_evict(__sync_lock_test_and_set(half, 0));
	verdict = open_claim(pkt, service);
	if (verdict)
		return verdict;
	flow = flow_at(pkt->record);
	if (!flow)
		return LB_V_INTERNAL;
	verdict = open_record(flow, pkt, service);
	if (verdict == LB_V_FORWARDED_NEW)
		WRITE_ONCE(*half, flow->word >> 32 << 32 | pkt->record);
	return verdict;
}

/* Whether flow_open() would find a record, but for those it evicts. */
static __always_inline bool record_is_left(const struct packet *pkt)
{
	struct lb_meta *meta = meta_get();
	struct vacancy vacancy = {};

	return meta && READ_ONCE(meta->live_flows) < max_flows &&
	       record_look(&pkt->key, pkt->hash, &vacancy) != -ENOSPC;
}

/*
 * What flow_open() would do, for dry loads: the flow is the scratch record, in the state of a new
 * one, and LB_V_UNTRACKED says so. Nothing is written that another packet sees.
 */
VERIFIED_ALONE __u32 flow_rehearse(struct packet *pkt, const struct lb_service *service)
{
	struct scratch *scratch = scratch_get();
	__u32 verdict;

	if (!dry || !pkt || !service || !scratch)
		return LB_V_INTERNAL;
	if (!record_is_left(pkt))
		return LB_V_TABLE_FULL;
	flow_fill_client(&scratch->flow, pkt, service, service->vip);
	open_pool(scratch, service, &pkt->key, false);
	verdict = open_reverse(&scratch->flow, &scratch->choice,
			       pkt->word ? pkt->record : RECORD_NONE, service);
	open_sums(&scratch->flow, pkt);
	scratch->flow.word = pkt->key.proto == LB_PROTO_UDP ? LB_FLOW_UDP_NEW : LB_FLOW_SYN;
	return verdict ? verdict : LB_V_UNTRACKED;
}

/*
 * The scratch record as if it were <pkt>'s flow, for packets that get no record of their own: by
 * the flow's hash, so that each packet goes to the same backend while the table stays.
 */
VERIFIED_ALONE __u32 flow_borrow(const struct packet *pkt, const struct lb_service *service)
{
	struct scratch *scratch = scratch_get();

	if (!pkt || !service || !scratch)
		return LB_V_INTERNAL;
	flow_fill_client(&scratch->flow, pkt, service, service->vip);
	open_pool(scratch, service, &pkt->key, true);
	if (!scratch->choice.backend)
		return LB_V_NO_BACKEND;
	scratch->flow.backend = scratch->choice.backend;
	scratch->flow.word = LB_FLOW_OPEN;
	return LB_V_UNTRACKED;
}

#endif
