/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "packet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PROTO_TCP 6

uint32_t random_next(uint32_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return *seed;
}

uint32_t random_seed(void)
{
	const char *text = getenv("LBD_TEST_SEED");
	struct timespec now;
	uint32_t seed;

	clock_gettime(CLOCK_REALTIME, &now);
	seed = text ? (uint32_t)strtoul(text, NULL, 10) : (uint32_t)(now.tv_nsec ^ now.tv_sec);
	seed = seed ? seed : 1;
	printf("# LBD_TEST_SEED=%u\n", seed);
	(void)fflush(stdout);
	return seed;
}

static void put16(uint8_t *to, uint16_t value)
{
	to[0] = value >> 8;
	to[1] = value & 0xff;
}

static void put32(uint8_t *to, uint32_t value)
{
	put16(to, value >> 16);
	put16(to + 2, value & 0xffff);
}

void frame_put16(struct frame *frame, uint32_t at, uint16_t value)
{
	put16(frame->bytes + at, value);
}

uint16_t frame_get16(const struct frame *frame, uint32_t at)
{
	return (uint16_t)(frame->bytes[at] << 8 | frame->bytes[at + 1]);
}

static uint64_t sum_of(const uint8_t *bytes, size_t len)
{
	uint64_t sum = 0;

	for (size_t i = 0; i + 1 < len; i += 2)
		sum += (uint64_t)(bytes[i] << 8 | bytes[i + 1]);
	return len & 1 ? sum + (uint64_t)(bytes[len - 1] << 8) : sum;
}

static uint16_t folded(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

uint16_t checksum_of(const uint8_t *bytes, size_t len, uint64_t start)
{
	return (uint16_t)~folded(sum_of(bytes, len) + start);
}

/* RFC 9293 section 3.1: the addresses, the protocol and the length of header and data. */
static uint64_t pseudo_sum(const uint8_t *ip, uint32_t tcp_len)
{
	return sum_of(ip + 12, 8) + PROTO_TCP + tcp_len;
}

static void fill_bytes(uint8_t *bytes, size_t len, uint32_t *seed)
{
	for (size_t i = 0; i < len; i++)
		bytes[i] = random_next(seed) >> 11;
}

static void fill_options(uint8_t *bytes, size_t len, uint8_t option, uint32_t *seed)
{
	if (option)
		memset(bytes, option, len);
	else
		fill_bytes(bytes, len, seed);
}

static void build_ip(uint8_t *ip, const struct segment *s, uint32_t len)
{
	uint32_t header = IP_LEN + s->ip_options;

	ip[0] = 0x40 | header / 4;
	ip[1] = s->tos;
	put16(ip + 2, (uint16_t)len);
	put16(ip + 4, s->id);
	put16(ip + 6, s->fragment);
	ip[8] = s->ttl;
	ip[9] = PROTO_TCP;
	put32(ip + 12, s->saddr);
	put32(ip + 16, s->daddr);
	put16(ip + 10, checksum_of(ip, header, 0));
}

static void build_tcp(uint8_t *tcp, const struct segment *s)
{
	put16(tcp, s->sport);
	put16(tcp + 2, s->dport);
	put32(tcp + 4, s->seq);
	put32(tcp + 8, s->ack);
	tcp[12] = (TCP_LEN + s->tcp_options) / 4 << 4;
	tcp[13] = s->flags;
	put16(tcp + 14, s->window);
}

void frame_build(struct frame *frame, const struct segment *s)
{
	uint32_t ip_len = IP_LEN + s->ip_options;
	uint32_t tcp_len = TCP_LEN + s->tcp_options + s->payload;
	uint8_t *ip = frame->bytes + ETH_LEN;
	uint8_t *tcp = ip + ip_len;
	uint32_t seed = s->fill | 1;

	memset(frame, 0, sizeof(*frame));
	frame->len = ETH_LEN + ip_len + tcp_len;
	memcpy(frame->bytes, s->dmac, 6);
	memcpy(frame->bytes + 6, s->smac, 6);
	put16(frame->bytes + 12, 0x0800);
	fill_options(ip + IP_LEN, s->ip_options, s->option, &seed);
	build_ip(ip, s, ip_len + tcp_len);
	build_tcp(tcp, s);
	fill_options(tcp + TCP_LEN, s->tcp_options, s->option, &seed);
	fill_bytes(tcp + TCP_LEN + s->tcp_options, s->payload, &seed);
	put16(tcp + 16, checksum_of(tcp, tcp_len, pseudo_sum(ip, tcp_len)));
}

void segment_refuse(const struct segment *s, struct segment *ret_rst)
{
	struct segment rst = {
		.saddr = s->daddr,
		.daddr = s->saddr,
		.sport = s->dport,
		.dport = s->sport,
		.ttl = 64,
		.fragment = 0x4000,
		.flags = RST,
	};

	memcpy(rst.dmac, s->smac, 6);
	memcpy(rst.smac, s->dmac, 6);
	if (s->flags & ACK) {
		rst.seq = s->ack;
	} else {
		rst.flags |= ACK;
		rst.ack = s->seq + s->payload + !!(s->flags & SYN) + !!(s->flags & FIN);
	}
	*ret_rst = rst;
}

bool frame_sums_right(const struct frame *frame)
{
	const uint8_t *ip = frame->bytes + ETH_LEN;
	uint32_t ip_len = (ip[0] & 15) * 4U;
	uint32_t tcp_len = frame_get16(frame, ETH_LEN + 2) - ip_len;

	return checksum_of(ip, ip_len, 0) == 0 &&
	       checksum_of(ip + ip_len, tcp_len, pseudo_sum(ip, tcp_len)) == 0;
}

bool frame_equal(const struct frame *a, const struct frame *b)
{
	return a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0;
}

void frame_print(const char *title, const struct frame *frame)
{
	uint32_t shown = frame->len < 96 ? frame->len : 96;

	(void)fprintf(stderr, "# %-8s %4u bytes:", title, frame->len);
	for (uint32_t i = 0; i < shown; i++)
		(void)fprintf(stderr, "%s%02x",
			      i == ETH_LEN || i == ETH_LEN + IP_LEN ? " | "
			      : i % 2				    ? ""
								    : " ",
			      frame->bytes[i]);
	(void)fprintf(stderr, shown < frame->len ? " ...\n" : "\n");
}
