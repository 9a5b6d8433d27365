/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "run.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char row[160];

static const char *const verdict_names[] = {
#define VERDICT_NAME(name, text, words) text,
	LB_VERDICTS(VERDICT_NAME)
#undef VERDICT_NAME
};

const char *run_verdict_name(enum lb_verdict verdict)
{
	return verdict < LB_VERDICT_COUNT ? verdict_names[verdict] : "none";
}

void run_row(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(row, sizeof(row), format, args);
	va_end(args);
}

void run_fail(const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	(void)fprintf(stderr, "# %s, row '%s': %s\n# rerun: %s '*(%s)'\n", world.hook->name, row,
		      text, program_invocation_name, world.hook->name);
	fail();
	abort(); /* fail() does not return; its declaration does not say so */
}

/* ---- Running ------------------------------------------------------------------------------- */

static int run_xdp(int program, const struct frame *in, uint32_t ifindex, struct sent *sent)
{
	struct xdp_md ctx = {.data_end = in->len, .ingress_ifindex = ifindex};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in->bytes, .data_size_in = in->len,
		    .data_out = sent->out.bytes, .data_size_out = FRAME_MAX, .ctx_in = &ctx,
		    .ctx_size_in = sizeof(ctx));
	int rc = bpf_prog_test_run_opts(program, &opts);

	sent->out.len = opts.data_size_out;
	sent->action = (int)opts.retval;
	return rc;
}

static int run_tc(int program, const struct frame *in, const struct __sk_buff *skb, uint32_t flags,
		  struct sent *sent)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in->bytes, .data_size_in = in->len,
		    .data_out = sent->out.bytes, .data_size_out = FRAME_MAX, .ctx_in = skb,
		    .ctx_size_in = sizeof(*skb), .flags = flags);
	int rc = bpf_prog_test_run_opts(program, &opts);

	sent->out.len = opts.data_size_out;
	sent->action = (int)opts.retval;
	return rc;
}

static int run_on(const struct hook *hook, const struct frame *in, uint32_t ifindex,
		  uint32_t gso_size, struct sent *sent)
{
	const struct __sk_buff skb = {.ifindex = ifindex, .gso_size = gso_size};

	return hook->xdp ? run_xdp(world.xdp, in, ifindex, sent)
			 : run_tc(world.tc, in, &skb, hook->flags & world.flags_known, sent);
}

uint32_t run_shortest(const struct frame *in)
{
	uint16_t type = frame_get16(in, 12);

	if (world.hook->xdp || (type != ETH_P_IP && type != ETH_P_IPV6))
		return ETH_LEN;
	return ETH_LEN + (type == ETH_P_IP ? IP_LEN : 40);
}

int run_program(int program, const struct frame *in, uint32_t ifindex, struct sent *ret_sent)
{
	const struct __sk_buff skb = {.ifindex = ifindex};

	return world.hook->xdp ? run_xdp(program, in, ifindex, ret_sent)
			       : run_tc(program, in, &skb, 0, ret_sent);
}

int run_bare(const struct hook *hook, const struct frame *in, uint32_t ifindex)
{
	struct sent sent;

	return run_on(hook, in, ifindex, 0, &sent);
}

/* The only verdict that moved between the two readings. */
static enum lb_verdict verdict_between(const struct lb_count *before, const struct lb_count *after,
				       const struct frame *in)
{
	enum lb_verdict found = LB_VERDICT_COUNT;

	for (enum lb_verdict v = 0; v < LB_VERDICT_COUNT; v++) {
		uint64_t packets = after[v].packets - before[v].packets;
		uint64_t bytes = after[v].bytes - before[v].bytes;

		if (!packets && !bytes)
			continue;
		if (found != LB_VERDICT_COUNT)
			run_fail("both %s and %s were counted", verdict_names[found],
				 verdict_names[v]);
		if (packets != 1 || bytes != in->len)
			run_fail("%s: expected 1 packet, %u bytes; got %lu, %lu", verdict_names[v],
				 in->len, packets, bytes);
		found = v;
	}
	if (found == LB_VERDICT_COUNT)
		run_fail("no verdict was counted");
	return found;
}

void run_gso(const struct frame *in, enum side side, uint32_t gso_size, struct sent *ret_sent)
{
	struct lb_count before[LB_VERDICT_COUNT];
	struct lb_count after[LB_VERDICT_COUNT];
	int rc;

	world_counts(before);
	rc = run_on(world.hook, in, place_ifindex(side), gso_size, ret_sent);
	if (rc == -EBADMSG) {
		frame_print("in", in);
		run_fail("the skb's checksum does not fit its bytes any more");
	}
	if (rc)
		run_fail("BPF_PROG_TEST_RUN of %u bytes: %s", in->len, strerror(-rc));
	world_counts(after);
	ret_sent->verdict = verdict_between(before, after, in);
}

void run_frame(const struct frame *in, enum side side, struct sent *ret_sent)
{
	run_gso(in, side, 0, ret_sent);
}

/* ---- Expecting ----------------------------------------------------------------------------- */

void run_expect_equal(const char *what, uint64_t got, uint64_t expected)
{
	if (got != expected)
		run_fail("%s: expected %lu, got %lu", what, expected, got);
}

void run_expect_verdict(const struct sent *sent, const struct frame *in, enum lb_verdict verdict)
{
	if (sent->verdict == verdict)
		return;
	frame_print("in", in);
	run_fail("expected verdict %s, got %s", run_verdict_name(verdict),
		 run_verdict_name(sent->verdict));
}

void run_expect_way(const struct sent *sent, const struct frame *in, enum way way)
{
	static const int xdp[] = {XDP_PASS, XDP_PASS, XDP_DROP, XDP_TX, XDP_REDIRECT};
	static const int tc[] = {TC_ACT_UNSPEC, TC_ACT_OK, TC_ACT_SHOT, TC_ACT_REDIRECT,
				 TC_ACT_REDIRECT};
	int expected = world.hook->xdp ? xdp[way] : tc[way];

	if (sent->action == expected)
		return;
	frame_print("in", in);
	run_fail("%s: expected action %d, got %d", run_verdict_name(sent->verdict), expected,
		 sent->action);
}

void run_expect_frame(const struct sent *sent, const struct frame *expected)
{
	if (frame_equal(&sent->out, expected))
		return;
	frame_print("expected", expected);
	frame_print("got", &sent->out);
	run_fail("%s: other bytes than expected", run_verdict_name(sent->verdict));
}
