/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/state.h"

/* A possible CPU is present or not; the kernel's own ceiling on x86 is 8192. */
#define MAX_CPUS 8192

static uint32_t cpus(void)
{
	int count = libbpf_num_possible_cpus();

	return count < 1 ? 0 : count > MAX_CPUS ? MAX_CPUS : (uint32_t)count;
}

/* <words> counters of 64 bits on each CPU, added up. */
static void sum(int fd, uint32_t key, uint64_t *ret_sum, uint32_t words)
{
	uint32_t n_cpus = cpus();
	uint64_t *rows = n_cpus ? calloc((size_t)n_cpus * words, sizeof(*rows)) : NULL;

	memset(ret_sum, 0, words * sizeof(*ret_sum));
	if (rows && bpf_map_lookup_elem(fd, &key, rows) == 0) {
		for (uint32_t i = 0; i < n_cpus * words; i++)
			ret_sum[i % words] += rows[i];
	}
	free(rows);
}

#define WORDS(type) (sizeof(type) / sizeof(uint64_t))

void dataplane_verdicts(struct dataplane *dp, struct lb_count out[static LB_VERDICT_COUNT])
{
	for (uint32_t verdict = 0; verdict < LB_VERDICT_COUNT; verdict++) {
		uint64_t words[WORDS(struct lb_count)];

		sum(dp->maps.counters, verdict, words, WORDS(struct lb_count));
		out[verdict] = (struct lb_count){.packets = words[0], .bytes = words[1]};
	}
}

static void traffic(int fd, uint32_t id, struct lb_traffic *ret_traffic)
{
	uint64_t words[WORDS(struct lb_traffic)];

	sum(fd, id, words, WORDS(struct lb_traffic));
	*ret_traffic = (struct lb_traffic){
		.in = {.packets = words[0], .bytes = words[1]},
		.out = {.packets = words[2], .bytes = words[3]},
		.opened = words[4],
	};
}

void dataplane_service_traffic(struct dataplane *dp, uint32_t id, struct lb_traffic *ret_traffic)
{
	traffic(dp->maps.service_stats, id, ret_traffic);
}

void dataplane_backend_traffic(struct dataplane *dp, uint16_t id, struct lb_traffic *ret_traffic)
{
	traffic(dp->maps.backend_stats, id, ret_traffic);
}
