/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Who may open a flow: prefixes that are allowed or denied, and how many new flows a source may
 * open in a time.
 *
 * Owns: lb_rates. A cell is {source's tag:24 | tokens:16 | ticks:24}, moved by compare-and-swap. A
 * cell whose owner would have all its tokens back is anybody's; while two sources want one cell the
 * second is not limited: a limit must not hit the wrong one.
 * May know: hash.h.
 */
#ifndef LB_GUARD_H
#define LB_GUARD_H

#include "hash.h"

#define GUARD_CELLS    65536
#define GUARD_TRIES    4
#define GUARD_TICKS    0xffffff
#define GUARD_TOKENS   0xffff
#define V4_MAPPED_BITS 96

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, GUARD_CELLS);
	__type(key, __u32);
	__type(value, __u64);
} lb_rates SEC(".maps");

static __always_inline bool guard_denies(const struct packet *pkt, const struct lb_service *service)
{
	struct lb_prefix_key key = {
		.bits = 8 * (sizeof(key.service) + sizeof(key.addr)),
		.service = bpf_htonl(service->id),
		.addr = pkt->key.saddr,
	};
	__u32 *found;

	if (!(service->flags & LB_SERVICE_PREFIXES))
		return false;
	found = bpf_map_lookup_elem(&lb_prefixes, &key);
	if (!found)
		return service->flags & LB_SERVICE_ALLOW_ONLY;
	return *found == LB_PREFIX_DENY;
}

/* The 32 bits of a word that are within the first <bits>. */
static __always_inline __be32 prefix_word(__be32 word, __s32 bits)
{
	if (bits <= 0)
		return 0;
	return bits >= 32 ? word : word & bpf_htonl(~0U << (32 - bits));
}

static __always_inline __u64 guard_hash(const struct packet *pkt, const struct lb_service *service,
					const __u64 *keys)
{
	__s32 bits = pkt->v6 ? service->rate_bits6 : service->rate_bits4 + V4_MAPPED_BITS;
	__u64 hash = service->id * keys[11];

	/* A limit that was changed begins anew. */
	hash += ((__u64)service->rate_new << 32 | service->rate_ticks) * keys[10];

#pragma unroll
	for (int i = 0; i < 4; i++)
		hash += prefix_word(pkt->key.saddr.w[i], bits - 32 * i) * keys[i];
	return hash_mix(hash);
}

static __always_inline __u64 guard_word(__u32 tag, __u64 tokens, __u32 now)
{
	return (__u64)tag << 40 | tokens << 24 | (now & GUARD_TICKS);
}

/* The cell after one more flow, or 0: it has no token left. */
static __always_inline __u64 guard_take(__u64 cell, __u32 tag, __u32 now,
					const struct lb_service *service)
{
	__u32 passed = (now - (__u32)cell) & GUARD_TICKS;
	__u64 burst = service->rate_new < GUARD_TOKENS ? service->rate_new : GUARD_TOKENS;
	__u64 tokens = cell >> 24 & GUARD_TOKENS;
	__u64 more = service->rate_ticks ? (__u64)passed * burst / service->rate_ticks : burst;

	if (cell >> 40 != tag)
		return guard_word(tag, burst ? burst - 1 : 0, now);
	tokens = tokens + more > burst ? burst : tokens + more;
	if (!tokens)
		return 0;
	/* Time worth less than a token is kept for the next flow. */
	return guard_word(tag, tokens - 1, more ? now : (__u32)cell);
}

static __always_inline bool guard_is_others(__u64 cell, __u32 tag, __u32 now,
					    const struct lb_service *service)
{
	return cell && cell >> 40 != tag &&
	       ((now - (__u32)cell) & GUARD_TICKS) < service->rate_ticks;
}

static __always_inline bool guard_limits(const struct packet *pkt, const struct lb_service *service)
{
	struct lb_meta *meta = meta_get();
	__u64 hash;
	__u64 *cell;
	__u32 tag;
	__u32 at;

	if (!service->rate_new || !meta)
		return false;
	hash = guard_hash(pkt, service, meta->hash_keys);
	at = hash & (GUARD_CELLS - 1);
	tag = (__u32)(hash >> 40) | 1;
	cell = bpf_map_lookup_elem(&lb_rates, &at);
	for (int i = 0; cell && i < GUARD_TRIES; i++) {
		__u64 old = READ_ONCE(*cell);
		__u64 new = guard_take(old, tag, pkt->now, service);

		if (guard_is_others(old, tag, pkt->now, service))
			return false;
		if (!new)
			return true;
		if (dry || __sync_val_compare_and_swap(cell, old, new) == old)
			return false;
	}
	return false;
}

/* 0, or the verdict that keeps the source out. */
VERIFIED_ALONE __u32 guard_check(const struct packet *pkt, const struct lb_service *service)
{
	if (!pkt || !service)
		return LB_V_INTERNAL;
	if (guard_denies(pkt, service))
		return LB_V_DENIED;
	return guard_limits(pkt, service) ? LB_V_SOURCE_RATE : 0;
}

#endif
