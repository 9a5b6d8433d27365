/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Finding the flow of a packet: what a client sends leads to the record itself, what a backend
 * sends through the index. Wherever it leads, the record's whole key is compared.
 *
 * Owns: nothing. The client's address is in the record; the service's and the backend's are where
 * the record's numbers lead.
 * May know: index.h, sets.h.
 */
#ifndef LB_FIND_H
#define LB_FIND_H

#include "index.h"
#include "sets.h"

static __always_inline bool flow_is_two_way(const struct lb_flow *flow)
{
	return flow->forward <= LB_FORWARD_SNAT;
}

/* The address that the client knows. */
static __always_inline const struct lb_ip *flow_vip(const struct lb_flow *flow)
{
	const struct lb_ip *vip = vip_at(flow->vip);

	return vip ? vip : &flow->client; /* it cannot be NULL */
}

static __always_inline __be16 flow_backend_port(const struct lb_flow *flow,
						const struct lb_backend *backend)
{
	return backend->port ? backend->port : flow->vip_port;
}

static __always_inline void flow_key_forward(const struct lb_flow *flow, struct lb_flow_key *key)
{
	key->saddr = flow->client;
	key->daddr = *flow_vip(flow);
	key->sport = flow->client_port;
	key->dport = flow->vip_port;
	key->zone = flow->zone;
	key->proto = flow->proto;
	key->pad = 0;
}

/* What the backend takes for its client: snat's own address, else the client's. */
static __always_inline const struct lb_ip *flow_source(const struct lb_flow *flow)
{
	const struct lb_snat *snat = flow->snat ? snat_at(flow->snat) : NULL;

	return snat ? &snat->addr : &flow->client;
}

static __always_inline void flow_key_reverse(const struct lb_flow *flow,
					     const struct lb_backend *backend,
					     struct lb_flow_key *key)
{
	key->saddr = backend->addr;
	key->daddr = *flow_source(flow);
	key->sport = flow_backend_port(flow, backend);
	key->dport = flow->source_port;
	key->zone = flow->zone;
	key->proto = flow->proto;
	key->pad = 0;
}

static __always_inline bool flow_is_forward(const struct lb_flow *flow,
					    const struct lb_flow_key *key)
{
	return key->sport == flow->client_port && key->dport == flow->vip_port &&
	       ip_equal(&key->saddr, &flow->client) && key->proto == flow->proto &&
	       key->zone == flow->zone && ip_equal(&key->daddr, flow_vip(flow));
}

static __always_inline bool flow_is_reverse(const struct lb_flow *flow,
					    const struct lb_flow_key *key)
{
	const struct lb_backend *backend;

	if (key->dport != flow->source_port || key->proto != flow->proto ||
	    key->zone != flow->zone || !flow_is_two_way(flow))
		return false;
	backend = backend_at(flow->backend);
	return backend && key->sport == flow_backend_port(flow, backend) &&
	       ip_equal(&key->saddr, &backend->addr) && ip_equal(&key->daddr, flow_source(flow));
}

/* Whether packets go by it: not while it is being filled, nor when only its port rests. */
static __always_inline bool flow_is_live(__u64 word)
{
	return LB_FLOW_STATE(word) > LB_FLOW_CLAIMED && LB_FLOW_STATE(word) != LB_FLOW_RESTING;
}

/* ---- What clients send ------------------------------------------------------------------------
 */

/* Whether <pkt> is of the client of this record. */
static __always_inline bool record_fits(struct packet *pkt, __u32 record)
{
	const struct lb_flow *flow = flow_at(record);
	__u64 word;

	if (!flow)
		return false;
	word = READ_ONCE(flow->word);
	if (!flow_is_forward(flow, &pkt->key) || !flow_is_live(word))
		return false;
	pkt->record = record;
	pkt->word = word;
	pkt->from_client = true;
	return true;
}

/* The same for its sets behind the first one. */
VERIFIED_ALONE int find_away(struct packet *pkt)
{
	__u64 hash;

	if (!pkt)
		return false;
	hash = pkt->hash;
	for (__u32 turn = 1; turn < LB_SET_TURNS; turn++) {
		__u32 record = set_next(&hash) * LB_SET_RECORDS;

		for (__u32 i = 0; i < LB_SET_RECORDS; i++)
			if (record_fits(pkt, record + i))
				return true;
	}
	return false;
}

static __always_inline bool find_by_client(struct packet *pkt)
{
	__u32 set = set_home(pkt->hash);

#pragma unroll
	for (__u32 i = 0; i < LB_SET_RECORDS; i++)
		if (record_fits(pkt, set * LB_SET_RECORDS + i))
			return true;
	return crowd_of(set) && find_away(pkt);
}

/* ---- What backends send -----------------------------------------------------------------------
 */

/* The record that an entry names, if it is of that generation. */
static __always_inline struct lb_flow *flow_of_entry(__u64 entry)
{
	struct lb_flow *flow = flow_at(LB_ENTRY_RECORD(entry));

	if (!flow)
		return NULL;
	if ((LB_FLOW_GENERATION(READ_ONCE(flow->word)) & 0xffffff) != LB_ENTRY_GENERATION(entry))
		return NULL;
	return flow;
}

/* The entry of <key>, or 0; also one whose flow is not published yet. */
static __always_inline __u64 index_search(const struct lb_flow_key *key, __u64 hash)
{
	__u16 tag = hash_tag(hash);

	for (int which = 0; which < 2; which++) {
		struct lb_bucket *bucket = index_bucket(hash, which);

		for (int i = 0; bucket && i < LB_BUCKET_ENTRIES; i++) {
			__u64 entry = READ_ONCE(bucket->entry[i]);
			struct lb_flow *flow;

			if (LB_ENTRY_TAG(entry) != tag)
				continue;
			flow = flow_of_entry(entry);
			if (flow && LB_FLOW_STATE(flow->word) != LB_FLOW_FREE &&
			    flow_is_reverse(flow, key))
				return entry;
		}
	}
	return 0;
}

/* For the rare key whose tag another key in its buckets has too. */
VERIFIED_ALONE int index_search_all(const struct lb_flow_key *key, __u64 hash, __u64 *ret_entry)
{
	if (key && ret_entry)
		*ret_entry = index_search(key, hash);
	return 0;
}

/* 0, or -EEXIST, -ENOSPC (both buckets are full), -EBUSY (another CPU inserts the same). */
VERIFIED_ALONE int index_insert(const struct lb_flow_key *key, __u64 hash, __u64 entry)
{
	__u64 *lock;
	int error = 0;

	if (!key)
		return -EBUSY;
	lock = key_lock(hash);
	if (!lock)
		return -EBUSY;
	if (index_search(key, hash))
		error = -EEXIST;
	else if (!index_place(hash, entry))
		error = -ENOSPC;
	key_unlock(lock);
	return error;
}

/* Whether <pkt> is of the backend of the flow that <entry> names. */
static __always_inline bool entry_fits(struct packet *pkt, __u64 entry)
{
	struct lb_flow *flow = flow_of_entry(entry);
	__u64 word;

	if (!flow)
		return false;
	word = READ_ONCE(flow->word);
	if (!flow_is_reverse(flow, &pkt->key) || !flow_is_live(word))
		return false;
	pkt->record = LB_ENTRY_RECORD(entry);
	pkt->word = word;
	pkt->from_client = false;
	return true;
}

static __always_inline bool find_by_backend(struct packet *pkt)
{
	struct lb_bucket *bucket = index_bucket(pkt->hash, 0);
	__u16 tag = hash_tag(pkt->hash);
	__u64 entry = bucket ? bucket_pick(bucket, tag) : 0;

	if (!entry) {
		bucket = index_bucket(pkt->hash, 1);
		entry = bucket ? bucket_pick(bucket, tag) : 0;
		if (!entry)
			return false;
	}
	if (entry_fits(pkt, entry))
		return true;
	index_search_all(&pkt->key, pkt->hash, &entry);
	return entry && entry_fits(pkt, entry);
}

/* For packets off the hot path. */
VERIFIED_ALONE int find_by_either(struct packet *pkt)
{
	return pkt && (find_by_client(pkt) || find_by_backend(pkt));
}

/* The live flow of a packet, or NULL. Fills pkt->record, word and from_client. */
static __always_inline struct lb_flow *flow_find(struct packet *pkt)
{
	return find_by_either(pkt) ? flow_at(pkt->record) : NULL;
}

/* Whether the record still is what flow_find() saw, after it was read. */
static __always_inline bool flow_same(const struct lb_flow *flow, const struct packet *pkt)
{
	return LB_FLOW_GENERATION(READ_ONCE(flow->word)) == LB_FLOW_GENERATION(pkt->word);
}

#endif
