/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "frame.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <stddef.h>
#include <string.h>

#define TTL 64

/* 60 bytes is the smallest frame of an Ethernet less its checksum. */
struct frame4 {
	struct ethhdr eth;
	struct iphdr ip;
	struct tcphdr tcp;
	unsigned char payload[6];
} __attribute__((packed));

struct frame6 {
	struct ethhdr eth;
	struct ipv6hdr ip;
	struct tcphdr tcp;
	unsigned char payload[2];
} __attribute__((packed));

_Static_assert(sizeof(struct frame4) % 8 == 4, "the generator writes whole words and four bytes");
_Static_assert(sizeof(struct frame6) % 8 == 4, "the generator writes whole words and four bytes");
_Static_assert(sizeof(struct frame6) <= FRAME_WORDS * 8, "frames fit the settings");

static const struct ethhdr eth_any = {.h_dest = {2}, .h_source = {2, 1}};

static __u32 sum_words(const void *data, size_t len)
{
	const unsigned char *bytes = data;
	__u32 sum = 0;

	for (size_t i = 0; i < len; i += 2) {
		__u16 word;

		memcpy(&word, bytes + i, sizeof(word));
		sum += word;
	}
	return sum;
}

/* RFC 9293 section 3.1: the pseudo header, then the segment. */
static __u32 segment_sum(const void *addresses, size_t len, const void *segment, size_t segment_len)
{
	return sum_words(addresses, len) + htons(IPPROTO_TCP) + htons((__u16)segment_len) +
	       sum_words(segment, segment_len);
}

/* The client's port stays 0: each flow has its own. */
static struct tcphdr tcp_of(const struct frame_plan *plan)
{
	return (struct tcphdr){
		.source = plan->reply ? htons(plan->port) : 0,
		.dest = plan->reply ? 0 : htons(plan->port),
		.doff = sizeof(struct tcphdr) / 4,
		.seq = htonl(plan->syn ? 1000 : 1001),
		.ack_seq = htonl(plan->ack ? 1001 : 0),
		.window = htons(1000),
		.syn = plan->syn,
		.ack = plan->ack,
	};
}

static size_t port_offset(bool reply)
{
	return reply ? offsetof(struct tcphdr, dest) : offsetof(struct tcphdr, source);
}

static int plan4(const struct frame_plan *plan, struct pktgen_settings *settings)
{
	struct frame4 frame = {.eth = eth_any,
			       .ip = {.version = 4,
				      .ihl = sizeof(struct iphdr) / 4,
				      .tot_len = htons(sizeof(frame) - sizeof(frame.eth)),
				      .ttl = TTL,
				      .protocol = IPPROTO_TCP},
			       .tcp = tcp_of(plan)};

	if (inet_pton(AF_INET, plan->from, &frame.ip.saddr) != 1 ||
	    inet_pton(AF_INET, plan->to, &frame.ip.daddr) != 1)
		return -EINVAL;
	frame.eth.h_proto = htons(ETH_P_IP);
	settings->len = sizeof(frame);
	settings->host_at = plan->reply ? offsetof(struct frame4, ip.daddr) + 3
					: offsetof(struct frame4, ip.saddr) + 3;
	settings->port_at = offsetof(struct frame4, tcp) + port_offset(plan->reply);
	settings->check_at = offsetof(struct frame4, tcp.check);
	settings->ip_check_at = offsetof(struct frame4, ip.check);
	settings->ip_sum = sum_words(&frame.ip, sizeof(frame.ip));
	settings->l4_sum = segment_sum(&frame.ip.saddr, 8, &frame.tcp,
				       sizeof(frame.tcp) + sizeof(frame.payload));
	memcpy(settings->frame, &frame, sizeof(frame));
	return 0;
}

static int plan6(const struct frame_plan *plan, struct pktgen_settings *settings)
{
	struct frame6 frame = {
		.eth = eth_any,
		.ip = {.version = 6,
		       .payload_len = htons(sizeof(frame.tcp) + sizeof(frame.payload)),
		       .nexthdr = IPPROTO_TCP,
		       .hop_limit = TTL},
		.tcp = tcp_of(plan)};

	if (inet_pton(AF_INET6, plan->from, &frame.ip.saddr) != 1 ||
	    inet_pton(AF_INET6, plan->to, &frame.ip.daddr) != 1)
		return -EINVAL;
	frame.eth.h_proto = htons(ETH_P_IPV6);
	settings->len = sizeof(frame);
	settings->host_at = plan->reply ? offsetof(struct frame6, ip.daddr) + 15
					: offsetof(struct frame6, ip.saddr) + 15;
	settings->port_at = offsetof(struct frame6, tcp) + port_offset(plan->reply);
	settings->check_at = offsetof(struct frame6, tcp.check);
	settings->l4_sum = segment_sum(&frame.ip.saddr, 32, &frame.tcp,
				       sizeof(frame.tcp) + sizeof(frame.payload));
	memcpy(settings->frame, &frame, sizeof(frame));
	return 0;
}

int frame_plan(const struct frame_plan *plan, struct pktgen_settings *ret_settings)
{
	struct pktgen_settings settings = {.flows = 1};
	int error = strchr(plan->to, ':') ? plan6(plan, &settings) : plan4(plan, &settings);

	if (!error)
		*ret_settings = settings;
	return error;
}
