/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "wire.h"

#include <arpa/inet.h>
#include <string.h>

#define MORE	 0x2000
#define DONT_CUT 0x4000

/* A frame that grows at its end. */
static void add16(struct frame *frame, uint32_t value)
{
	frame_put16(frame, frame->len, (uint16_t)value);
	frame->len += 2;
}

static void add32(struct frame *frame, uint32_t value)
{
	add16(frame, value >> 16);
	add16(frame, value & 0xffff);
}

static void add_bytes(struct frame *frame, const void *bytes, uint32_t len)
{
	memcpy(frame->bytes + frame->len, bytes, len);
	frame->len += len;
}

bool wire_is_v6(const struct wire *wire)
{
	return wire->saddr.q[0] || wire->saddr.w[2] != htonl(0xffff);
}

uint32_t wire_l2_len(const struct wire *wire)
{
	return ETH_LEN + (wire->tags[0] ? TAG_LEN : 0) + (wire->tags[1] ? TAG_LEN : 0);
}

/* ---- Behind the IP header ------------------------------------------------------------------ */

static void add_payload(struct frame *l4, const struct wire *wire)
{
	uint32_t seed = wire->fill | 1;

	if (wire->data) {
		add_bytes(l4, wire->data, wire->payload);
		return;
	}
	for (uint32_t i = 0; i < wire->payload; i++)
		l4->bytes[l4->len++] = random_next(&seed) >> 11;
}

/* RFC 9293 section 3.1, RFC 8200 section 8.1: addresses, protocol and length. */
static uint64_t pseudo(const struct wire *wire, uint32_t len)
{
	uint32_t skip = wire_is_v6(wire) ? 0 : 12;
	uint64_t sum = wire->proto + len;

	for (uint32_t i = skip; i < sizeof(wire->saddr); i += 2)
		sum += (uint64_t)(wire->saddr.b[i] << 8 | wire->saddr.b[i + 1]) +
		       (uint64_t)(wire->daddr.b[i] << 8 | wire->daddr.b[i + 1]);
	return sum;
}

static void add_tcp(struct frame *l4, const struct wire *wire)
{
	add16(l4, wire->sport);
	add16(l4, wire->dport);
	add32(l4, wire->seq);
	add32(l4, wire->ack);
	add16(l4, TCP_LEN / 4 << 12 | wire->flags);
	add16(l4, wire->flags & RST ? 0 : 29200);
	add32(l4, 0);
	add_payload(l4, wire);
	frame_put16(l4, 16, checksum_of(l4->bytes, l4->len, pseudo(wire, l4->len)));
}

/* RFC 768: a sum of 0 is written as its other form. */
static void add_udp(struct frame *l4, const struct wire *wire)
{
	uint16_t sum;

	add16(l4, wire->sport);
	add16(l4, wire->dport);
	add16(l4, UDP_LEN + wire->payload);
	add16(l4, 0);
	add_payload(l4, wire);
	sum = checksum_of(l4->bytes, l4->len, pseudo(wire, l4->len));
	if (!wire->no_sum)
		frame_put16(l4, 6, sum ? sum : 0xffff);
}

static void add_icmp(struct frame *l4, const struct wire *wire)
{
	uint64_t start = wire->proto == PROTO_ICMP6 ? pseudo(wire, ICMP_LEN + wire->payload) : 0;

	add16(l4, (uint32_t)wire->type << 8 | wire->code);
	add16(l4, 0);
	add32(l4, wire->rest);
	add_payload(l4, wire);
	frame_put16(l4, 2, checksum_of(l4->bytes, l4->len, start));
}

static void build_l4(struct frame *l4, const struct wire *wire)
{
	l4->len = 0;
	if (wire->proto == LB_PROTO_TCP)
		add_tcp(l4, wire);
	else if (wire->proto == LB_PROTO_UDP)
		add_udp(l4, wire);
	else if (wire->proto == PROTO_ICMP || wire->proto == PROTO_ICMP6)
		add_icmp(l4, wire);
	else
		add_payload(l4, wire);
}

/* ---- The IP header ------------------------------------------------------------------------- */

static void add_v4(struct frame *frame, const struct wire *wire, uint32_t len, bool more)
{
	uint32_t at = frame->len;
	uint32_t header = IP_LEN + wire->ip_options;
	uint32_t seed = 77;

	add16(frame, (0x40 | header / 4) << 8 | wire->tos);
	add16(frame, header + len);
	add16(frame, wire->id);
	add16(frame, (more ? MORE : 0) | (wire->df ? DONT_CUT : 0) | wire->cut_at / 8);
	add16(frame, (uint32_t)wire->ttl << 8 | wire->proto);
	add16(frame, 0);
	add_bytes(frame, &wire->saddr.w[3], 4);
	add_bytes(frame, &wire->daddr.w[3], 4);
	for (uint32_t i = 0; i < wire->ip_options; i++)
		frame->bytes[frame->len++] = random_next(&seed) >> 11;
	frame_put16(frame, at + 10, checksum_of(frame->bytes + at, header, 0));
}

/* RFC 8200 section 4: "next header" of each names what follows. */
static void add_v6(struct frame *frame, const struct wire *wire, uint32_t len, bool more)
{
	static const uint8_t pad[6] = {1, 4}; /* PadN of 4 bytes */
	bool cut = wire->cut_len;
	uint8_t last = cut ? FRAGMENT : wire->proto;

	add32(frame, 6U << 28 | (uint32_t)wire->tos << 20 | wire->label);
	add16(frame, len + 8U * wire->n_ext + (cut ? FRAG_LEN : 0));
	add16(frame, (uint32_t)(wire->n_ext ? wire->ext[0] : last) << 8 | wire->ttl);
	add_bytes(frame, &wire->saddr, 16);
	add_bytes(frame, &wire->daddr, 16);
	for (uint32_t i = 0; i < wire->n_ext; i++) {
		add16(frame, (uint32_t)(i + 1 < wire->n_ext ? wire->ext[i + 1] : last) << 8);
		add_bytes(frame, pad, sizeof(pad));
	}
	if (!cut)
		return;
	add16(frame, (uint32_t)wire->proto << 8);
	add16(frame, wire->cut_at | (more ? 1 : 0));
	add32(frame, wire->id);
}

void wire_build(struct frame *frame, const struct wire *wire)
{
	static struct frame l4;
	uint32_t len;
	bool more;

	memset(frame, 0, sizeof(*frame));
	memset(&l4, 0, sizeof(l4));
	build_l4(&l4, wire);
	len = wire->cut_len ? wire->cut_len : l4.len;
	more = wire->cut_at + len < l4.len;
	add_bytes(frame, wire->dmac, 6);
	add_bytes(frame, wire->smac, 6);
	for (int i = 0; i < 2; i++) {
		if (!wire->tags[i])
			continue;
		add16(frame, i == 0 && wire->tags[1] ? 0x88a8 : 0x8100);
		add16(frame, wire->tags[i]);
	}
	add16(frame, wire_is_v6(wire) ? 0x86dd : 0x0800);
	if (wire_is_v6(wire))
		add_v6(frame, wire, len, more);
	else
		add_v4(frame, wire, len, more);
	add_bytes(frame, l4.bytes + wire->cut_at, len);
}

void wire_error(const struct wire *about, const struct lb_ip *router, uint32_t quote,
		struct wire *ret_error, struct frame *ret_quoted)
{
	struct wire error = {
		.saddr = *router,
		.daddr = about->saddr,
		.proto = wire_is_v6(about) ? PROTO_ICMP6 : PROTO_ICMP,
		.ttl = 64,
		.df = true,
	};
	uint32_t l2 = wire_l2_len(about);

	memcpy(error.dmac, about->smac, 6);
	memcpy(error.smac, about->dmac, 6);
	memcpy(error.tags, about->tags, sizeof(error.tags));
	wire_build(ret_quoted, about);
	ret_quoted->len -= l2;
	memmove(ret_quoted->bytes, ret_quoted->bytes + l2, ret_quoted->len);
	error.data = ret_quoted->bytes;
	error.payload = (uint16_t)(quote < ret_quoted->len ? quote : ret_quoted->len);
	*ret_error = error;
}
