/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Counting packets: by verdict, by service, by backend.
 *
 * Owns: nothing. A counter that cannot be written never changes what happens to the packet.
 * May know: maps.h.
 */
#ifndef LB_COUNT_H
#define LB_COUNT_H

#include "maps.h"

/* Per-CPU values need no atomic add: programs of one hook do not preempt each other on a CPU. */
static __always_inline void count_add(struct lb_count *count, __u32 bytes)
{
	count->packets++;
	count->bytes += bytes;
}

static __always_inline void count_verdict(__u32 verdict, __u32 bytes)
{
	struct lb_count *count = bpf_map_lookup_elem(&lb_counters, &verdict);

	if (count && !dry)
		count_add(count, bytes);
}

static __always_inline void count_traffic(__u32 service, __u32 backend, bool in, __u32 bytes)
{
	struct lb_traffic *of_service = bpf_map_lookup_elem(&lb_svc_stats, &service);
	struct lb_traffic *of_backend = bpf_map_lookup_elem(&lb_be_stats, &backend);

	if (dry)
		return;
	if (of_service)
		count_add(in ? &of_service->in : &of_service->out, bytes);
	if (of_backend)
		count_add(in ? &of_backend->in : &of_backend->out, bytes);
}

#endif
