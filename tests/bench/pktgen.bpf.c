/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Packets made inside the kernel, for measuring what becomes of them.
 *
 * Every run writes the whole frame again: neither what an earlier run changed nor what a recycled
 * page held is seen. The source port walks over <flows> ports.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "pktgen.h"

#define PORT_AT	    34 /* of the source port in the frame */
#define CHECKSUM_AT 50

const volatile struct pktgen_settings settings = {.flows = 1};
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

static __always_inline int write_frame(void *data, void *end)
{
	__u16 port = bpf_htons(FIRST_PORT + next);
	__u32 sum = settings.base_sum + port;

	if (data + FRAME_LEN > end)
		return -1;
#pragma unroll
	for (int i = 0; i < FRAME_LEN / 8; i++)
		*(__u64 *)(data + i * 8) = settings.frame[i];
	*(__u32 *)(data + FRAME_LEN - 4) = (__u32)settings.frame[FRAME_LEN / 8];
	sum = (sum & 0xffff) + (sum >> 16);
	sum += sum >> 16;
	*(__u16 *)(data + PORT_AT) = port;
	*(__u16 *)(data + CHECKSUM_AT) = (__u16)~sum;
	next = next + 1 < settings.flows ? next + 1 : 0;
	return 0;
}

SEC("xdp")
int generate(struct xdp_md *ctx)
{
	if (write_frame((void *)(long)ctx->data, (void *)(long)ctx->data_end) < 0)
		return XDP_ABORTED;
	return XDP_TX;
}

SEC("xdp")
int xdp_into(struct xdp_md *ctx)
{
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
