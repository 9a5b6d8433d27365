/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A flood for flood.py, which compiles it: packets of one kind from random sources of FROM/15
 * (198.18.0.0, RFC 2544), and what takes them away where they leave the balancer. Each run writes
 * the whole frame: pages are recycled.
 *
 * KIND: SYN, ACK or UDP; DMAC: of the balancer, six numbers; VIP and PORT: numbers.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define SYN  1
#define ACK  2
#define UDP  3
#define FROM 0xc6120000U
#define MASK 0xfffe0000U

struct frame {
	struct ethhdr eth;
	struct iphdr ip;
	union {
		struct tcphdr tcp;
		struct udphdr udp;
	};
} __attribute__((packed));

static __always_inline __u16 sum_of(const __u16 *words, int n, __u32 sum)
{
#pragma unroll
	for (int i = 0; i < n; i++)
		sum += words[i];
	sum = (sum & 0xffff) + (sum >> 16);
	return ~(sum + (sum >> 16));
}

static __always_inline void fill_tcp(struct tcphdr *tcp, __be16 source, __u32 pseudo)
{
	tcp->source = source;
	tcp->dest = bpf_htons(PORT);
	tcp->seq = bpf_get_prandom_u32();
	tcp->ack_seq = KIND == ACK ? bpf_get_prandom_u32() : 0;
	tcp->doff = sizeof(*tcp) / 4;
	tcp->syn = KIND == SYN;
	tcp->ack = KIND == ACK;
	tcp->window = bpf_htons(1000);
	pseudo += bpf_htons(IPPROTO_TCP) + bpf_htons(sizeof(*tcp));
	tcp->check = sum_of((void *)tcp, sizeof(*tcp) / 2, pseudo);
}

/* No checksum: RFC 768 allows it over IPv4. */
static __always_inline void fill_udp(struct udphdr *udp, __be16 source)
{
	udp->source = source;
	udp->dest = bpf_htons(PORT);
	udp->len = bpf_htons(sizeof(struct tcphdr));
}

SEC("xdp")
int flood(struct xdp_md *ctx)
{
	struct frame *frame = (void *)(long)ctx->data;
	static const __u8 dmac[ETH_ALEN] = {DMAC};
	__u32 random = bpf_get_prandom_u32();
	__be32 addresses[2] = {bpf_htonl(FROM | (random & ~MASK)), bpf_htonl(VIP)};
	__be16 source = bpf_htons(1024 + (bpf_get_prandom_u32() & 0x7fff));

	if ((void *)(frame + 1) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	__builtin_memset(frame, 0, sizeof(*frame));
	__builtin_memcpy(frame->eth.h_dest, dmac, ETH_ALEN);
	frame->eth.h_source[0] = 2;
	frame->eth.h_proto = bpf_htons(ETH_P_IP);
	frame->ip.version = 4;
	frame->ip.ihl = 5;
	frame->ip.ttl = 64;
	frame->ip.tot_len = bpf_htons(sizeof(*frame) - ETH_HLEN);
	frame->ip.protocol = KIND == UDP ? IPPROTO_UDP : IPPROTO_TCP;
	frame->ip.saddr = addresses[0];
	frame->ip.daddr = addresses[1];
	frame->ip.check = sum_of((void *)&frame->ip, sizeof(frame->ip) / 2, 0);
	if (KIND == UDP)
		fill_udp(&frame->udp, source);
	else
		fill_tcp(&frame->tcp, source, (__u16)~sum_of((void *)addresses, 4, 0));
	return XDP_TX;
}

SEC("xdp")
int sink(struct xdp_md *ctx)
{
	struct frame *frame = (void *)(long)ctx->data;

	if ((void *)(&frame->ip + 1) > (void *)(long)ctx->data_end)
		return XDP_PASS;
	if (frame->eth.h_proto != bpf_htons(ETH_P_IP))
		return XDP_PASS;
	return (frame->ip.saddr & bpf_htonl(MASK)) == bpf_htonl(FROM) ? XDP_DROP : XDP_PASS;
}

char _license[] SEC("license") = "Dual BSD/GPL";
