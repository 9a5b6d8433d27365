/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The maps that all objects share, by name, and what the loader tells the programs.
 *
 * Owns: map definitions. The sizes of lb_index, lb_flows, lb_crowds and lb_half are set by the
 * loader. May know: include/lb.
 */
#ifndef LB_MAPS_H
#define LB_MAPS_H

#include <stdbool.h>
#include <stddef.h>

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "lb/abi.h"

/* Set by the loader before it loads the object: the sizes of tables follow from it. */
const volatile __u32 max_flows = LB_DEFAULT_FLOWS;

/* Set in a second load for traces: nothing is written but a scratch map of its own. */
const volatile __u32 dry = 0;

/* Answers (RST) one CPU may send: so many a second, after so many at once. */
const volatile __u32 reply_rate = 50000;
const volatile __u32 reply_burst = 5000;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, LB_MAX_LISTENERS);
	__type(key, struct lb_service_key);
	__type(value, struct lb_service);
} lb_services SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, LB_MAX_POOLS);
	__type(key, __u32);
	__type(value, struct lb_pool);
} lb_pools SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, LB_MAX_SLOTS / 4);
	__type(key, __u32);
	__type(value, struct lb_slot_line);
} lb_slots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, LB_MAX_BACKENDS);
	__type(key, __u32);
	__type(value, struct lb_backend);
} lb_backends SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, LB_MAX_BACKENDS);
	__type(key, __u32);
	__type(value, struct lb_live);
} lb_live SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, LB_ENDS_WORDS);
	__type(key, __u32);
	__type(value, __u64);
} lb_ends SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, LB_MAX_SNAT);
	__type(key, __u32);
	__type(value, struct lb_snat);
} lb_snat SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, LB_MAX_VIPS);
	__type(key, __u32);
	__type(value, struct lb_ip);
} lb_vips SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, LB_WAYS);
	__type(key, __u32);
	__type(value, struct lb_hop);
} lb_ways SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, LB_MAX_PREFIXES);
	__type(key, struct lb_prefix_key);
	__type(value, __u32);
} lb_prefixes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, LB_BUCKETS(LB_DEFAULT_FLOWS));
	__type(key, __u32);
	__type(value, struct lb_bucket);
} lb_index SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, LB_LOCKS);
	__type(key, __u32);
	__type(value, __u64);
} lb_locks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, LB_RECORDS(LB_DEFAULT_FLOWS));
	__type(key, __u32);
	__type(value, struct lb_flow);
} lb_flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, LB_CROWDS(LB_DEFAULT_FLOWS));
	__type(key, __u32);
	__type(value, __u64);
} lb_crowds SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, LB_HALF_FLOWS(LB_DEFAULT_FLOWS));
	__type(key, __u32);
	__type(value, __u64);
} lb_half SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, LB_FRAGS);
	__type(key, __u32);
	__type(value, struct lb_frag);
} lb_frags SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct lb_meta);
} lb_meta SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, LB_VERDICT_COUNT);
	__type(key, __u32);
	__type(value, struct lb_count);
} lb_counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, LB_MAX_SERVICES);
	__type(key, __u32);
	__type(value, struct lb_traffic);
} lb_svc_stats SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, LB_MAX_BACKENDS);
	__type(key, __u32);
	__type(value, struct lb_traffic);
} lb_be_stats SEC(".maps");

/*
 * A function that the verifier checks once and by its types, not at each call: for what would make
 * its work explode. It trusts no pointer: each is compared with NULL.
 */
#define VERIFIED_ALONE __attribute__((noinline))

#define barrier()	 asm volatile("" ::: "memory")
#define READ_ONCE(x)	 (*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile __typeof__(x) *)&(x) = (v))

/*
 * A pointer field of a program's context. Written in assembly because the field is declared 32 bits
 * wide, and clang then does arithmetic on it that is too narrow for the verifier.
 */
#define CTX_POINTER(ctx, field) \
	({ \
		void *_pointer; \
		asm volatile("%0 = *(u32 *)(%1 + %2)" \
			     : "=r"(_pointer) \
			     : "r"(ctx), "i"(offsetof(__typeof__(*(ctx)), field))); \
		_pointer; \
	})

/* Headers begin within this: the verifier wants pointers into a frame bounded by a constant. */
#define CTX_OFFSETS 0x3fff

#define NS_PER_US 1000
#define NS_PER_S  1000000000ULL

/* How often a compare-and-swap that another CPU won is tried again. */
#define LB_CAS_TRIES 8

/*
 * Rows by number, which is copied: Linux 6.1 takes no key that lies behind a pointer argument of a
 * function that is verified alone. NULL: there is no such row.
 */
static __always_inline struct lb_flow *flow_at(__u32 record)
{
	return bpf_map_lookup_elem(&lb_flows, &record);
}

static __always_inline struct lb_backend *backend_at(__u32 id)
{
	return bpf_map_lookup_elem(&lb_backends, &id);
}

static __always_inline struct lb_live *live_at(__u32 backend)
{
	return bpf_map_lookup_elem(&lb_live, &backend);
}

static __always_inline struct lb_pool *pool_at(__u32 id)
{
	return bpf_map_lookup_elem(&lb_pools, &id);
}

static __always_inline struct lb_snat *snat_at(__u32 row)
{
	return bpf_map_lookup_elem(&lb_snat, &row);
}

static __always_inline const struct lb_ip *vip_at(__u32 row)
{
	return bpf_map_lookup_elem(&lb_vips, &row);
}

static __always_inline struct lb_hop *way_at(__u32 row)
{
	return bpf_map_lookup_elem(&lb_ways, &row);
}

/* NULL only where a map failed that cannot fail. */
static __always_inline struct lb_meta *meta_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&lb_meta, &zero);
}

#endif
