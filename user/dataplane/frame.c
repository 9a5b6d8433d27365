/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "dataplane/frame.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <netinet/in.h>
#include <string.h>

#define GUE_PORT   6080
#define VLAN_LEN   4
#define VLAN_ID	   0x0fff
#define EXT_MOST   8 /* IPv6 extension headers followed */
#define IP_OFFSET  0x1fff
#define IP_MORE	   0x2000
#define TCP_LEN	   20
#define FRAG6_MORE 1

static uint16_t half_at(const uint8_t *data)
{
	return (uint16_t)(data[0] << 8 | data[1]);
}

static uint32_t word_at(const uint8_t *data)
{
	return (uint32_t)half_at(data) << 16 | half_at(data + 2);
}

static void map_v4(struct lb_ip *ip, const uint8_t *data)
{
	memset(ip, 0, sizeof(*ip));
	ip->b[10] = ip->b[11] = 0xff;
	memcpy(ip->b + 12, data, 4);
}

/* ---- Reading ------------------------------------------------------------------------------- */

static bool is_tunnel(const struct frame *frame)
{
	return frame->key.proto == IPPROTO_IPIP || frame->key.proto == IPPROTO_IPV6;
}

static void read_tcp(struct frame *frame, const uint8_t *data, size_t left)
{
	if (left < TCP_LEN)
		return;
	frame->seq = word_at(data + 4);
	frame->ack = word_at(data + 8);
	frame->flags = data[13];
	frame->depth = FRAME_WHOLE;
}

static void read_udp(struct frame *frame, size_t at, size_t left)
{
	if (left < sizeof(struct udphdr))
		return;
	frame->depth = FRAME_WHOLE;
	if (frame->key.dport == htons(GUE_PORT) && left > sizeof(struct udphdr))
		frame->inner = at + sizeof(struct udphdr);
}

static void read_l4(struct frame *frame, const uint8_t *data, size_t len, size_t at)
{
	size_t left = len > at ? len - at : 0;

	if (is_tunnel(frame) && left > 0)
		frame->inner = at;
	if (frame->fragment || left < 4)
		return;
	if (frame->key.proto == IPPROTO_ICMP || frame->key.proto == IPPROTO_ICMPV6) {
		frame->icmp_type = data[at];
		frame->icmp_code = data[at + 1];
		frame->depth = FRAME_WHOLE;
		return;
	}
	if (frame->key.proto != IPPROTO_TCP && frame->key.proto != IPPROTO_UDP)
		return;
	memcpy(&frame->key.sport, data + at, 2);
	memcpy(&frame->key.dport, data + at + 2, 2);
	frame->depth = FRAME_PORTS;
	if (frame->key.proto == IPPROTO_TCP)
		read_tcp(frame, data + at, left);
	else
		read_udp(frame, at, left);
}

static void read_v4(struct frame *frame, const uint8_t *data, size_t len, size_t at)
{
	const uint8_t *ip = data + at;
	size_t header = (ip[0] & 0xfU) * 4;
	uint16_t offset;

	if (len < at + sizeof(struct iphdr) || header < sizeof(struct iphdr))
		return;
	offset = half_at(ip + 6);
	map_v4(&frame->key.saddr, ip + 12);
	map_v4(&frame->key.daddr, ip + 16);
	frame->key.proto = ip[9];
	frame->ttl = ip[8];
	frame->len = half_at(ip + 2);
	frame->fragment = (uint16_t)((offset & IP_OFFSET) * 8);
	frame->more = offset & IP_MORE;
	frame->depth = FRAME_IP;
	read_l4(frame, data, len, at + header);
}

static bool is_ext(uint8_t proto)
{
	return proto == IPPROTO_HOPOPTS || proto == IPPROTO_ROUTING || proto == IPPROTO_DSTOPTS ||
	       proto == IPPROTO_FRAGMENT;
}

static void read_v6(struct frame *frame, const uint8_t *data, size_t len, size_t at)
{
	const uint8_t *ip = data + at;

	if (len < at + sizeof(struct ipv6hdr))
		return;
	frame->v6 = true;
	memcpy(&frame->key.saddr, ip + 8, 16);
	memcpy(&frame->key.daddr, ip + 24, 16);
	frame->key.proto = ip[6];
	frame->ttl = ip[7];
	frame->len = half_at(ip + 4) + (uint32_t)sizeof(struct ipv6hdr);
	frame->depth = FRAME_IP;
	at += sizeof(struct ipv6hdr);
	for (int i = 0; i < EXT_MOST && is_ext(frame->key.proto) && len >= at + 8; i++) {
		bool fragment = frame->key.proto == IPPROTO_FRAGMENT;

		if (fragment) {
			frame->fragment = half_at(data + at + 2) & 0xfff8;
			frame->more = data[at + 3] & FRAG6_MORE;
		}
		frame->key.proto = data[at];
		at += fragment ? 8 : (data[at + 1] + 1U) * 8;
	}
	read_l4(frame, data, len, at);
}

void frame_read_ip(const uint8_t *data, size_t len, size_t at, struct frame *ret_frame)
{
	memset(ret_frame, 0, sizeof(*ret_frame));
	ret_frame->l3 = at;
	ret_frame->depth = FRAME_LINK;
	if (len <= at)
		return;
	if (data[at] >> 4 == 4)
		read_v4(ret_frame, data, len, at);
	else if (data[at] >> 4 == 6)
		read_v6(ret_frame, data, len, at);
}

void frame_read(const uint8_t *data, size_t len, struct frame *ret_frame)
{
	struct frame link = {0};
	size_t at = ETH_HLEN;

	memset(ret_frame, 0, sizeof(*ret_frame));
	if (len < ETH_HLEN)
		return;
	link.ethertype = half_at(data + 12);
	while (link.n_tags < 2 && len >= at + VLAN_LEN &&
	       (link.ethertype == ETH_P_8021Q || link.ethertype == ETH_P_8021AD)) {
		link.tags[link.n_tags++] = half_at(data + at) & VLAN_ID;
		link.ethertype = half_at(data + at + 2);
		at += VLAN_LEN;
	}
	if (link.ethertype == ETH_P_IP || link.ethertype == ETH_P_IPV6)
		frame_read_ip(data, len, at, ret_frame);
	ret_frame->l3 = at;
	if (ret_frame->depth == FRAME_NOTHING)
		ret_frame->depth = FRAME_LINK;
	ret_frame->ethertype = link.ethertype;
	ret_frame->n_tags = link.n_tags;
	memcpy(ret_frame->tags, link.tags, sizeof(link.tags));
	memcpy(ret_frame->dmac, data, ETH_ALEN);
	memcpy(ret_frame->smac, data + ETH_ALEN, ETH_ALEN);
}

/* ---- Making -------------------------------------------------------------------------------- */

/* RFC 1071; <sum> is of what comes before. */
static uint32_t sum_up(const uint8_t *data, size_t len, uint32_t sum)
{
	for (size_t i = 0; i + 1 < len; i += 2)
		sum += half_at(data + i);
	return len & 1 ? sum + ((uint32_t)data[len - 1] << 8) : sum;
}

static void put_half(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static void put_sum(uint8_t *at, uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	put_half(at, ~sum & 0xffff);
}

static size_t make_ip(const struct frame *frame, uint8_t *ip, size_t l4_len)
{
	if (frame->v6) {
		ip[0] = 6 << 4;
		put_half(ip + 4, (uint32_t)l4_len);
		ip[6] = frame->key.proto;
		ip[7] = frame->ttl;
		memcpy(ip + 8, &frame->key.saddr, 16);
		memcpy(ip + 24, &frame->key.daddr, 16);
		return sizeof(struct ipv6hdr);
	}
	ip[0] = 4 << 4 | 5;
	put_half(ip + 2, (uint32_t)(sizeof(struct iphdr) + l4_len));
	put_half(ip + 6, 0x4000); /* DF, as hosts that discover their path's MTU send it */
	ip[8] = frame->ttl;
	ip[9] = frame->key.proto;
	memcpy(ip + 12, frame->key.saddr.b + 12, 4);
	memcpy(ip + 16, frame->key.daddr.b + 12, 4);
	put_sum(ip + 10, sum_up(ip, sizeof(struct iphdr), 0));
	return sizeof(struct iphdr);
}

static void make_l4(const struct frame *frame, uint8_t *l4, size_t len)
{
	size_t skip = frame->v6 ? 0 : 12;
	uint32_t sum = frame->key.proto + (uint32_t)len;
	bool tcp = frame->key.proto == IPPROTO_TCP;

	memcpy(l4, &frame->key.sport, 2);
	memcpy(l4 + 2, &frame->key.dport, 2);
	if (tcp) {
		uint32_t seq = htonl(frame->seq);
		uint32_t ack = htonl(frame->ack);

		memcpy(l4 + 4, &seq, 4);
		memcpy(l4 + 8, &ack, 4);
		l4[12] = TCP_LEN / 4 << 4;
		l4[13] = frame->flags;
		put_half(l4 + 14, 0xffff);
	} else {
		put_half(l4 + 4, (uint32_t)len);
	}
	sum = sum_up(frame->key.saddr.b + skip, 16 - skip, sum);
	sum = sum_up(frame->key.daddr.b + skip, 16 - skip, sum);
	put_sum(l4 + (tcp ? 16 : 6), sum_up(l4, len, sum));
	if (!tcp && !l4[6] && !l4[7])
		put_half(l4 + 6, 0xffff); /* RFC 768: 0 says that there is none */
}

size_t frame_make(const struct frame *frame, uint8_t out[static FRAME_MADE_MAX])
{
	size_t l4_len = frame->key.proto == IPPROTO_TCP ? TCP_LEN : sizeof(struct udphdr);
	size_t at = ETH_HLEN;

	memset(out, 0, FRAME_MADE_MAX);
	memcpy(out, frame->dmac, ETH_ALEN);
	memcpy(out + ETH_ALEN, frame->smac, ETH_ALEN);
	put_half(out + 12, frame->v6 ? ETH_P_IPV6 : ETH_P_IP);
	at += make_ip(frame, out + at, l4_len);
	make_l4(frame, out + at, l4_len);
	return at + l4_len;
}
