/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Packets made inside the kernel, for measuring what becomes of them.
 *
 * Every run writes the whole frame again: neither what an earlier run changed nor what a recycled
 * page held is seen.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "pktgen.h"

#define SKIPS 8

const volatile struct pktgen_settings settings = {.flows = 1, .len = 60};
__u32 next;

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} xdp_target SEC(".maps"), tc_target SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} sunk SEC(".maps");

static __always_inline __u16 folded(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum += sum >> 16;
	return (__u16)~sum;
}

static __always_inline __u32 flow_in_turn(void)
{
	__u32 flow = next++;

	if (next >= settings.flows)
		next = 0;
	return flow;
}

/*
 * All flows before any of them again, neighbours in time being none in memory: a linear
 * congruential generator visits each number below a power of two once (Hull and Dobell, 1962), and
 * at most half of the numbers are skipped for being none of a flow.
 */
static __always_inline __u32 flow_at_random(void)
{
#pragma unroll
	for (int i = 0; i < SKIPS; i++) {
		next = (next * 1664525 + 1013904223) & settings.mask;
		if (next < settings.flows)
			return next;
	}
	return next - settings.flows;
}

static __always_inline int write_frame(void *data, void *end)
{
	__u32 flow = settings.mask ? flow_at_random() : flow_in_turn();
	__u16 port = bpf_htons(FIRST_PORT + flow % PORTS);
	__u32 host = flow / PORTS;
	__u32 host_sum = bpf_htons(host);
	__u32 words = settings.len / 8;

	if (data + settings.len > end)
		return -1;
#pragma unroll
	for (int i = 0; i < FRAME_WORDS; i++) {
		if (i < words)
			*(__u64 *)(data + i * 8) = settings.frame[i];
	}
	*(__u32 *)(data + settings.len - 4) = (__u32)settings.frame[words];
	*(__u8 *)(data + settings.host_at) += host;
	*(__u16 *)(data + settings.port_at) = port;
	*(__u16 *)(data + settings.check_at) = folded(settings.l4_sum + host_sum + port);
	if (settings.ip_check_at)
		*(__u16 *)(data + settings.ip_check_at) = folded(settings.ip_sum + host_sum);
	return 0;
}

SEC("xdp")
int generate(struct xdp_md *ctx)
{
	if (write_frame((void *)(long)ctx->data, (void *)(long)ctx->data_end) < 0)
		return XDP_ABORTED;
	return XDP_TX;
}

/*
 * A tunnel's outer header of the run before goes. That costs some nanoseconds, which are the
 * generator's: with <shrink>, the run with the empty program pays for a move by nothing as well.
 */
SEC("xdp")
int xdp_into(struct xdp_md *ctx)
{
	int grown = (int)(ctx->data_end - ctx->data) - (int)settings.len;

	if ((grown || settings.shrink) && bpf_xdp_adjust_head(ctx, grown))
		return XDP_ABORTED;
	if (write_frame((void *)(long)ctx->data, (void *)(long)ctx->data_end) == 0)
		bpf_tail_call(ctx, &xdp_target, 0);
	return XDP_ABORTED;
}

SEC("xdp")
int xdp_empty(struct xdp_md *ctx)
{
	return XDP_PASS;
}

SEC("tc")
int tc_into(struct __sk_buff *skb)
{
	if (write_frame((void *)(long)skb->data, (void *)(long)skb->data_end) == 0)
		bpf_tail_call(skb, &tc_target, 0);
	return TC_ACT_SHOT;
}

SEC("tc")
int tc_empty(struct __sk_buff *skb)
{
	return TC_ACT_OK;
}

SEC("xdp")
int sink(struct xdp_md *ctx)
{
	__u32 zero = 0;
	__u64 *count = bpf_map_lookup_elem(&sunk, &zero);

	if (count)
		(*count)++;
	return XDP_DROP;
}

char _license[] SEC("license") = "Dual BSD/GPL";
