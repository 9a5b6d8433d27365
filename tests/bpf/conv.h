/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A conversation in any forward mode: what each side sends, and what must leave for it.
 *
 * For: tests whose rows are modes, families and protocols. Where talk.h knows TCP over nat in every
 * detail, this knows how modes differ.
 * Owns: nothing. May know: run.h, wire.h.
 */
#ifndef TESTS_BPF_CONV_H
#define TESTS_BPF_CONV_H

#include "run.h"
#include "talk.h"
#include "wire.h"

#define SNAT_FIRST 20000
#define SNAT_PORTS 1000
#define GUE_DPORT  6080

struct mode {
	const char *name;
	enum lb_forward forward;
	bool client6;
	bool backend6;
	uint8_t proto;
};

/* Every mode there is: tables of tests are made of these. */
extern const struct mode modes[];
extern const uint32_t n_modes;

struct conv {
	const struct mode *mode;
	struct lb_ip client;
	struct lb_ip vip;
	struct lb_ip backend;
	struct lb_ip source; /* what the backend sees: ours with snat and tunnels */
	uint16_t client_port;
	uint16_t vip_port;
	uint16_t backend_port;
	uint16_t source_port;
	uint16_t tags[2];
	bool no_sum;
	uint32_t seq_client;
	uint32_t seq_backend;
};

/* Also writes its service 1, backend 1 and source address into the maps. */
struct conv conv_of(const struct mode *mode);
bool conv_is_two_way(const struct conv *conv);
bool conv_is_tunnel(const struct conv *conv);
/* What the side sends, as it arrives at the balancer. */
struct wire conv_wire(const struct conv *conv, enum speaker speaker, uint8_t flags,
		      uint16_t payload);
/* The ends that the other side sees, in two-way modes. */
void conv_translate(const struct conv *conv, enum speaker speaker, struct wire *out);
/* <in> as it leaves; in tunnels, <entropy> (outer port, or flow label over IPv6) as in <got>. */
void conv_expected(const struct conv *conv, enum speaker speaker, const struct wire *in,
		   const struct frame *got, struct frame *ret_out);
/* Sends it and checks verdict, way and every byte. */
void conv_send(const struct conv *conv, enum speaker speaker, const struct wire *in,
	       enum lb_verdict verdict);
/* Both, and moves the speaker's number on. */
void conv_say(struct conv *conv, enum speaker speaker, uint8_t flags, uint16_t payload,
	      enum lb_verdict verdict);
/* Until the flow counts: a handshake, a reply, or three packets of the client. */
void conv_open(struct conv *conv);
/* Its record, NULL: none. */
struct lb_flow *conv_flow(const struct conv *conv);
void conv_expect_state(const struct conv *conv, enum lb_flow_state state);
/* Sends it and expects <answer> back to where it came from. */
void conv_expect_answer(const struct wire *in, enum side side, enum lb_verdict verdict,
			const struct wire *answer);

#endif
