/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One frame through the balancer, and what may be said of it afterwards.
 *
 * For: the tests. Owns: the name of the row that runs, for failures. Each run checks that exactly
 * one verdict was counted, once, with the bytes of the frame.
 * May know: world.h, packet.h.
 */
#ifndef TESTS_BPF_RUN_H
#define TESTS_BPF_RUN_H

#include "packet.h"
#include "world.h"

/* What a hook decided, whichever hook it is. XDP cannot tell the first two apart. */
enum way {
	WAY_NOTHING, /* not ours: the next program's */
	WAY_STACK,   /* ours, and the stack's now */
	WAY_DROP,
	WAY_SAME,  /* out where it came in */
	WAY_OTHER, /* out of another interface */
};

struct sent {
	struct frame out;
	int action;
	enum lb_verdict verdict;
};

/* Names the row in what failures print. */
void run_row(const char *format, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void run_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
const char *run_verdict_name(enum lb_verdict verdict);

/* The shortest frame of this EtherType that the hook can be run with: for TC, the kernel refuses
 * less than a whole IP header (bpf_prog_test_run_skb). */
uint32_t run_shortest(const struct frame *in);
void run_frame(const struct frame *in, enum side side, struct sent *ret_sent);
/* Like run_frame(), of a packet that the sender's stack will segment (TC only). */
void run_gso(const struct frame *in, enum side side, uint32_t gso_size, struct sent *ret_sent);
/* The bare call: nothing is checked. 0 or -errno. */
int run_bare(const struct hook *hook, const struct frame *in, uint32_t ifindex);

/* Any program of the hook's kind. 0 or -errno. */
int run_program(int program, const struct frame *in, uint32_t ifindex, struct sent *ret_sent);

void run_expect_equal(const char *what, uint64_t got, uint64_t expected);
#define expect_equal(got, expected) run_expect_equal(#got, (uint64_t)(got), (uint64_t)(expected))
void run_expect_verdict(const struct sent *sent, const struct frame *in, enum lb_verdict verdict);
void run_expect_way(const struct sent *sent, const struct frame *in, enum way way);
void run_expect_frame(const struct sent *sent, const struct frame *expected);

#endif
