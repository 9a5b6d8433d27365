/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Packets made inside the kernel, for measuring what becomes of them.
 *
 * Every run writes the whole frame again: neither what an earlier run changed nor what a recycled
 * page held is seen. Source port and address walk over <flows> flows.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "pktgen.h"

#define PORT_AT	    34 /* of the source port in the frame */
#define CHECKSUM_AT 50
#define IP_CHECK_AT 24
#define HOST_AT	    29 /* the last byte of the source address */

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

static __always_inline __u16 folded(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum += sum >> 16;
	return (__u16)~sum;
}

static __always_inline int write_frame(void *data, void *end)
{
	__u16 port = bpf_htons(FIRST_PORT + next % PORTS);
	__u32 host = next / PORTS;
	__u32 host_sum = bpf_htons(host);

	if (data + FRAME_LEN > end)
		return -1;
#pragma unroll
	for (int i = 0; i < FRAME_LEN / 8; i++)
		*(__u64 *)(data + i * 8) = settings.frame[i];
	*(__u32 *)(data + FRAME_LEN - 4) = (__u32)settings.frame[FRAME_LEN / 8];
	*(__u8 *)(data + HOST_AT) += host;
	*(__u16 *)(data + IP_CHECK_AT) = folded(settings.ip_sum + host_sum);
	*(__u16 *)(data + PORT_AT) = port;
	*(__u16 *)(data + CHECKSUM_AT) = folded(settings.tcp_sum + host_sum + port);
	next += settings.stride;
	if (next >= settings.flows)
		next -= settings.flows;
	return 0;
}

SEC("xdp")
int generate(struct xdp_md *ctx)
{
	if (write_frame((void *)(long)ctx->data, (void *)(long)ctx->data_end) < 0)
		return XDP_ABORTED;
	return XDP_TX;
}

/* A tunnel's outer header of the run before goes; that costs the tunnel some nanoseconds more. */
SEC("xdp")
int xdp_into(struct xdp_md *ctx)
{
	int grown = (int)(ctx->data_end - ctx->data) - FRAME_LEN;

	if (grown > 0 && bpf_xdp_adjust_head(ctx, grown))
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
