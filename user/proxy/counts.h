/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Counters that other threads read: of services, per worker, and the proxy's half of live rows.
 *
 * For: sessions and exchanges. Owns: nothing. May know: base, include/lb.
 * A row of service_counts has one writer, its worker; live rows have many.
 */
#ifndef PROXY_COUNTS_H
#define PROXY_COUNTS_H

#include <stdint.h>

#include "lb/abi.h"

/* As struct proxy_stats; aligned, so that workers do not share a cache line. */
struct service_counts {
	uint64_t opened, closed;
	uint64_t requests;
	uint64_t bytes_in, bytes_out;
	uint64_t status[6];
	uint64_t bad_headers;
	uint64_t refused; /* connections: denied, too fast, too many of one source */
	uint64_t no_room; /* requests and relays: the queue was full, or its time over */
} __attribute__((aligned(64)));

static inline void count(uint64_t *counter, uint64_t n)
{
	uint64_t now = __atomic_load_n(counter, __ATOMIC_RELAXED);

	__atomic_store_n(counter, now + n, __ATOMIC_RELAXED);
}

static inline uint64_t count_read(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

static inline void live_add(__u64 *counter, uint64_t n)
{
	if (n > 0)
		__atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

/* Moving average over about 8 samples; a lost update between two workers does no harm. */
static inline void live_latency(struct lb_live *live, uint64_t sample_us)
{
	uint64_t old = __atomic_load_n(&live->latency_us, __ATOMIC_RELAXED);
	uint64_t now = old ? (old * 7 + sample_us + 4) / 8 : sample_us;

	__atomic_store_n(&live->latency_us, now ? now : 1, __ATOMIC_RELAXED);
}

#endif
