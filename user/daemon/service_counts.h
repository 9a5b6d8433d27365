/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What services did, in numbers: connections open and opened, packets, bytes, new ones a second.
 *
 * For: the API. Owns: the counters' last samples. May know: dataplane, proxy, config.
 * The kernel path counts what is opened by service, but what is open by backend alone: that is
 * counted by a walk over the flow table, one for all services.
 */
#ifndef DAEMON_SERVICE_COUNTS_H
#define DAEMON_SERVICE_COUNTS_H

#include "daemon/load_balancer.h"

struct service_counts {
	uint64_t open[LB_MAX_SERVICES];	  /* kernel path, by id, at the last walk */
	uint64_t opened[LB_MAX_SERVICES]; /* either path, by id, at the last sample */
	uint32_t rate_cps[LB_MAX_SERVICES];
	uint64_t sampled_ms; /* 0: never */
};

struct service_numbers {
	uint64_t open;
	uint64_t opened;
	uint64_t packets;     /* kernel path */
	uint64_t requests;    /* proxy path */
	uint64_t bad_headers; /* proxy path: refused for their PROXY header */
	uint64_t refused;     /* proxy path: connections, for where they came from */
	uint64_t no_room;     /* proxy path: requests and relays, by the queue */
	uint64_t bytes;
	uint32_t rate_cps;
};

/* Counts what is open in the kernel path, for the reads that follow. */
void service_counts_walk(struct load_balancer *lb);
/* About once a second: what was opened since the sample before. */
void service_counts_sample(struct load_balancer *lb);
void service_counts_read(struct load_balancer *lb, const struct service_spec *service,
			 struct service_numbers *ret_numbers);
/* New ones a second, between two samples of one counter. */
uint32_t service_counts_rate(uint64_t before, uint64_t after, uint64_t passed_ms);

#endif
