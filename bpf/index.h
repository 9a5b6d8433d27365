/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The index: from the key of a reply to its flow's record.
 *
 * Owns: lb_index. A lookup reads one cache line, or two, and takes no lock; what it finds is a
 * guess until the record's generation and key were compared (find.h). Insertions of one key are
 * serial by a lock, so that of two flows that want one key one has it. An entry is removed by
 * value, by whoever ended the flow that it names.
 * May know: lock.h.
 */
#ifndef LB_INDEX_H
#define LB_INDEX_H

#include "lock.h"

#define EBUSY  16
#define EEXIST 17
#define ENOSPC 28

#define BUCKET_CROWDED 4 /* entries */
#define RECORD_NONE    (~0U)

/* Where a hash lies: two buckets and a tag. No tag is 0, so that a free entry matches none. */
static __always_inline __u16 hash_tag(__u64 hash)
{
	return hash | 1;
}

static __always_inline __u32 hash_bucket(__u64 hash, __u32 n_buckets)
{
	return (hash >> 32) * n_buckets >> 32;
}

static __always_inline __u32 hash_bucket_two(__u64 hash, __u32 n_buckets)
{
	return (hash * 0x9e3779b97f4a7c15ULL >> 32) * n_buckets >> 32;
}

static __always_inline struct lb_bucket *index_bucket(__u64 hash, int which)
{
	__u32 n_buckets = LB_BUCKETS(max_flows);
	__u32 at = which ? hash_bucket_two(hash, n_buckets) : hash_bucket(hash, n_buckets);

	return bpf_map_lookup_elem(&lb_index, &at);
}

/* The first entry with the tag, or 0. */
static __always_inline __u64 bucket_pick(const struct lb_bucket *bucket, __u16 tag)
{
	__u64 entry;

#pragma unroll
	for (int i = 0; i < LB_BUCKET_ENTRIES; i++) {
		entry = READ_ONCE(bucket->entry[i]);
		if (LB_ENTRY_TAG(entry) == tag)
			return entry;
	}
	return 0;
}

/* Removes the entry that is exactly <entry>. */
VERIFIED_ALONE int index_remove(__u64 hash, __u64 entry)
{
	for (int which = 0; which < 2; which++) {
		struct lb_bucket *bucket = index_bucket(hash, which);

		if (!bucket)
			continue;
#pragma unroll
		for (int i = 0; i < LB_BUCKET_ENTRIES; i++) {
			if (READ_ONCE(bucket->entry[i]) == entry &&
			    __sync_val_compare_and_swap(&bucket->entry[i], entry, 0) == entry)
				return 0;
		}
	}
	return 0;
}

static __always_inline __u32 bucket_used(const struct lb_bucket *bucket)
{
	__u32 used = 0;

#pragma unroll
	for (int i = 0; i < LB_BUCKET_ENTRIES; i++) {
		__u64 entry = READ_ONCE(bucket->entry[i]);
		__u64 negative = -entry;

		/* No branch: the verifier would follow each of 256 ways through eight. */
		asm volatile("" : "+r"(negative));
		used += (entry | negative) >> 63;
	}
	return used;
}

static __always_inline bool bucket_place(struct lb_bucket *bucket, __u64 entry)
{
#pragma unroll
	for (int i = 0; i < LB_BUCKET_ENTRIES; i++) {
		if (!READ_ONCE(bucket->entry[i]) &&
		    !__sync_val_compare_and_swap(&bucket->entry[i], 0, entry))
			return true;
	}
	return false;
}

/*
 * Puts <entry> into its first bucket while that has room to spare, so that most lookups read one
 * line; else into the emptier of the two, so that none is full before nearly all are. False: both
 * are.
 */
static __always_inline bool index_place(__u64 hash, __u64 entry)
{
	struct lb_bucket *one = index_bucket(hash, 0);
	struct lb_bucket *two = index_bucket(hash, 1);
	__u32 used;

	if (!one || !two)
		return false;
	used = bucket_used(one);
	if (used < BUCKET_CROWDED || used <= bucket_used(two))
		return bucket_place(one, entry) || bucket_place(two, entry);
	return bucket_place(two, entry) || bucket_place(one, entry);
}

#endif
