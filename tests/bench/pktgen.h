/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the packet generator's two halves agree on.
 *
 * For: pktgen.c and pktgen.bpf.c. Owns: nothing. May know: <linux/types.h>.
 */
#ifndef BENCH_PKTGEN_H
#define BENCH_PKTGEN_H

#include <linux/types.h>

/* Ethernet, IPv4, TCP and six bytes: the smallest frame of an Ethernet, less its checksum. */
#define FRAME_LEN  60
#define FIRST_PORT 10000
#define PORTS	   50000 /* of one client address */
#define MAX_FLOWS  1000000

struct pktgen_settings {
	__u64 frame[(FRAME_LEN + 7) / 8];
	__u32 flows;
	__u32 stride;  /* from one flow to the next: neighbours in time are none in memory */
	__u32 tcp_sum; /* of the segment with neither source port nor checksum */
	__u32 ip_sum;  /* of the header without its checksum */
};

#endif
