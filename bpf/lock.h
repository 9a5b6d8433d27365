/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Locks by hash: what is done to one key is done by one CPU at a time.
 *
 * Owns: lb_locks. A holder never sleeps and never takes another; keys that share a lock wait for
 * each other.
 * May know: hash.h.
 */
#ifndef LB_LOCK_H
#define LB_LOCK_H

#include "hash.h"

#define LOCK_TRIES 256 /* a holder has some hundred instructions to do, and a few lines to read */

/* NULL: another CPU has held it all the time. */
static __always_inline __u64 *key_lock(__u64 hash)
{
	__u32 at = hash % LB_LOCKS;
	__u64 *lock = bpf_map_lookup_elem(&lb_locks, &at);

	for (int i = 0; lock && i < LOCK_TRIES; i++) {
		if (!__sync_val_compare_and_swap(lock, 0, 1))
			return lock;
	}
	return NULL;
}

static __always_inline void key_unlock(__u64 *lock)
{
	__sync_lock_test_and_set(lock, 0);
}

#endif
