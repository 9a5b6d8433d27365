/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Fragments: later ones have no ports and go where the first one went.
 *
 * Owns: lb_frags. A cell is whoever's hash leads to it; it is written between an odd and an even
 * sequence number and believed only if its key, age and generation fit.
 * May know: flow.h.
 */
#ifndef LB_FRAG_H
#define LB_FRAG_H

#include "flow.h"

#define FRAG_SECONDS 2

static __always_inline struct lb_frag *frag_cell(const struct packet *pkt)
{
	struct lb_meta *meta = meta_get();
	__u64 hash;
	__u32 at;

	if (!meta)
		return NULL;
	hash = hash_ip(&pkt->key.saddr, meta->hash_keys) +
	       hash_ip(&pkt->key.daddr, meta->hash_keys + 4) +
	       (pkt->frag_id ^ pkt->key.proto) * meta->hash_keys[10];
	at = hash_mix(hash) >> 40 & (LB_FRAGS - 1);
	return bpf_map_lookup_elem(&lb_frags, &at);
}

/* The first fragment of a flow's packet. */
VERIFIED_ALONE int frag_note(const struct packet *pkt)
{
	struct lb_frag *frag;
	__u32 sequence;

	if (!pkt)
		return 0;
	frag = frag_cell(pkt);
	if (!frag)
		return 0;
	sequence = READ_ONCE(frag->sequence);
	if (sequence & 1 ||
	    __sync_val_compare_and_swap(&frag->sequence, sequence, sequence + 1) != sequence)
		return 0;
	frag->saddr = pkt->key.saddr;
	frag->daddr = pkt->key.daddr;
	frag->id = pkt->frag_id;
	frag->zone = pkt->key.zone;
	frag->proto = pkt->key.proto;
	frag->seen = pkt->now;
	frag->record = pkt->record;
	frag->generation = LB_FLOW_GENERATION(pkt->word);
	__sync_lock_test_and_set(&frag->sequence, sequence + 2); /* orders what was written */
	return 0;
}

static __always_inline bool frag_fits(const struct lb_frag *frag, const struct packet *pkt)
{
	struct lb_meta *meta = meta_get();

	return meta && frag->id == pkt->frag_id && frag->proto == pkt->key.proto &&
	       frag->zone == pkt->key.zone && ip_equal(&frag->saddr, &pkt->key.saddr) &&
	       ip_equal(&frag->daddr, &pkt->key.daddr) &&
	       pkt->now - frag->seen <= FRAG_SECONDS * meta->second;
}

/* The flow of a later fragment, or NULL. Fills the packet like flow_find(). */
static __always_inline struct lb_flow *frag_find(struct packet *pkt)
{
	struct lb_frag *frag = frag_cell(pkt);
	struct lb_flow *flow;
	__u32 generation;
	__u32 sequence;

	if (!frag)
		return NULL;
	sequence = READ_ONCE(frag->sequence);
	if (sequence & 1 || !frag_fits(frag, pkt))
		return NULL;
	pkt->record = frag->record;
	generation = frag->generation;
	if (READ_ONCE(frag->sequence) != sequence)
		return NULL;
	flow = flow_at(pkt->record);
	if (!flow)
		return NULL;
	pkt->word = READ_ONCE(flow->word);
	if (LB_FLOW_GENERATION(pkt->word) != generation || !flow_is_live(pkt->word))
		return NULL;
	pkt->from_client = ip_equal(&pkt->key.saddr, &flow->client) &&
			   ip_equal(&pkt->key.daddr, flow_vip(flow));
	return flow;
}

#endif
