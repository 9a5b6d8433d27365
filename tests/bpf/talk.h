/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A TCP conversation through the balancer: who speaks to whom, and where each side's numbers are.
 *
 * For: tests that say "the client sends FIN" and want the whole of the packet checked: verdict,
 * action, and each byte of what leaves.
 * Owns: nothing. May know: run.h.
 */
#ifndef TESTS_BPF_TALK_H
#define TESTS_BPF_TALK_H

#include "run.h"

struct talk {
	uint32_t client;
	uint32_t vip;
	uint32_t backend;
	uint16_t client_port;
	uint16_t vip_port;
	uint16_t backend_port;
	uint32_t seq_client; /* next to be sent */
	uint32_t seq_backend;
};

enum speaker { BY_CLIENT, BY_BACKEND };

/* CLIENT:port -> VIP:80, backend 1. */
struct talk talk_of(uint16_t client_port);
/* The segment that comes next, as it arrives at the balancer. */
struct segment talk_segment(const struct talk *talk, enum speaker speaker, uint8_t flags,
			    uint16_t payload);
/* Sends it and checks everything; <verdict> says what must come out. */
void talk_send(const struct talk *talk, enum speaker speaker, const struct segment *segment,
	       enum lb_verdict verdict);
/* Both, and moves the speaker's number on. */
void talk_say(struct talk *talk, enum speaker speaker, uint8_t flags, uint16_t payload,
	      enum lb_verdict verdict);
/* SYN, SYN-ACK, ACK. */
void talk_open(struct talk *talk);
/* Which backend the client's SYN of this verdict went to; the talk knows it from then on. */
uint16_t talk_syn_anywhere(struct talk *talk);

/* The live record of the conversation, NULL when there is none. */
struct lb_flow *talk_flow(const struct talk *talk);
void talk_expect_state(const struct talk *talk, enum lb_flow_state state);

struct counts {
	uint64_t opened;
	uint64_t closed;
	uint64_t pending_in;
	uint64_t pending_out;
	uint64_t failed;
};

void expect_live(uint16_t backend, const struct counts *expected);
/* No record in use and no index entry: nothing leaked. */
void expect_no_flow(void);

#endif
