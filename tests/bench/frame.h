/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The benchmarks' frames: the smallest TCP segments of a flow, over IPv4 or IPv6.
 *
 * For: pktgen.c. Owns: nothing. May know: pktgen.h.
 */
#ifndef BENCH_FRAME_H
#define BENCH_FRAME_H

#include <stdbool.h>

#include "pktgen.h"

struct frame_plan {
	const char *from; /* addresses of one family, as text */
	const char *to;
	__u16 port; /* of the service, or of the backend in a reply */
	bool reply; /* the client is who it goes to */
	bool syn;
	bool ack;
};

/* The first client's frame, and where the other flows' differ. -EINVAL: an address is none. */
int frame_plan(const struct frame_plan *plan, struct pktgen_settings *ret_settings);

#endif
