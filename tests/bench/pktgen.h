/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the packet generator's two halves agree on.
 *
 * For: frame.c, generator.c and pktgen.bpf.c. Owns: nothing. May know: <linux/types.h>.
 */
#ifndef BENCH_PKTGEN_H
#define BENCH_PKTGEN_H

#include <linux/types.h>

#define FRAME_WORDS 10 /* room for the longest frame, in 64 bits */
#define FIRST_PORT  10000
#define PORTS	    50000 /* of one client address */
#define MAX_FLOWS   1000000

/* A frame and what differs between flows: the client's port and the last byte of its address. */
struct pktgen_settings {
	__u64 frame[FRAME_WORDS];
	__u32 len; /* of the frame: a multiple of eight, and four */
	__u32 flows;
	__u32 mask;	   /* all ones, from flows - 1 on; 0: flows come in turn */
	__u32 l4_sum;	   /* of the segment with neither the client's port nor a checksum */
	__u32 ip_sum;	   /* of an IPv4 header without its checksum */
	__u16 port_at;	   /* where in the frame */
	__u16 host_at;	   /* ... the last byte of the client's address */
	__u16 check_at;	   /* ... the segment's checksum */
	__u16 ip_check_at; /* ... the header's; 0: it has none */
	__u32 shrink;	   /* 1: the frame's head is moved in any case, see xdp_into */
};

#endif
