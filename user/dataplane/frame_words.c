/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "base/addr.h"
#include "dataplane/frame.h"

#define TUNNELS_MOST 2

struct word {
	unsigned number;
	const char *text;
};

static const struct word protocols[] = {
	{IPPROTO_TCP, "tcp"},	      {IPPROTO_UDP, "udp"},
	{IPPROTO_ICMP, "icmp"},	      {IPPROTO_IPIP, "ipip"},
	{IPPROTO_IPV6, "ipv6-in-ip"}, {IPPROTO_ICMPV6, "icmpv6"},
	{IPPROTO_GRE, "gre"},	      {IPPROTO_ESP, "esp"},
	{IPPROTO_SCTP, "sctp"},	      {0, NULL},
};

static const struct word ethertypes[] = {
	{0x0806, "arp"}, {0x88cc, "lldp"}, {0x0800, "ipv4"}, {0x86dd, "ipv6"}, {0, NULL},
};

/* RFC 792; RFC 4443. */
static const struct word icmp_types[] = {
	{0, "echo reply"}, {3, "unreachable"},	  {5, "redirect"},
	{8, "echo"},	   {11, "time exceeded"}, {0, NULL},
};
static const struct word icmp6_types[] = {
	{1, "unreachable"}, {2, "packet too big"}, {3, "time exceeded"},
	{128, "echo"},	    {129, "echo reply"},   {0, NULL},
};

static const struct word flag_words[] = {
	{FRAME_SYN, "syn"}, {FRAME_FIN, "fin"}, {FRAME_RST, "rst"}, {FRAME_PSH, "psh"},
	{FRAME_ACK, "ack"}, {FRAME_URG, "urg"}, {0, NULL},
};

static void say_one(const struct word *words, unsigned number, const char *other,
		    struct buffer *text)
{
	for (; words->text; words++) {
		if (words->number == number) {
			buffer_print(text, "%s", words->text);
			return;
		}
	}
	buffer_print(text, "%s %u", other, number);
}

void frame_say_flags(uint8_t flags, struct buffer *text)
{
	const char *before = "";

	for (const struct word *word = flag_words; word->text; word++) {
		if (!(flags & word->number))
			continue;
		buffer_print(text, "%s%s", before, word->text);
		before = ", ";
	}
	if (!*before)
		buffer_print(text, "no flags");
}

static void say_end(const struct frame *frame, const struct lb_ip *ip, uint16_t port,
		    struct buffer *text)
{
	struct addr addr = {.port = port};
	char words[ADDR_TEXT_LEN];

	memcpy(addr.ip, ip->b, sizeof(addr.ip));
	buffer_print(text, "%s",
		     frame->depth >= FRAME_PORTS && frame->key.proto != IPPROTO_ICMP &&
				     frame->key.proto != IPPROTO_ICMPV6
			     ? addr_format(&addr, words)
			     : addr_format_ip(&addr, words));
}

static void say_l4(const struct frame *frame, struct buffer *text)
{
	if (frame->depth < FRAME_WHOLE)
		return;
	if (frame->key.proto == IPPROTO_TCP) {
		buffer_print(text, ", ");
		frame_say_flags(frame->flags, text);
		buffer_print(text, ", seq %u", frame->seq);
		if (frame->flags & FRAME_ACK)
			buffer_print(text, ", ack %u", frame->ack);
	} else if (frame->key.proto == IPPROTO_ICMP || frame->key.proto == IPPROTO_ICMPV6) {
		buffer_print(text, ", ");
		say_one(frame->v6 ? icmp6_types : icmp_types, frame->icmp_type, "type", text);
		if (frame->icmp_code)
			buffer_print(text, " code %u", frame->icmp_code);
	}
}

void frame_say(const struct frame *frame, struct buffer *text)
{
	if (frame->depth < FRAME_IP) {
		say_one(ethertypes, frame->ethertype, "ethertype", text);
		return;
	}
	say_one(protocols, frame->key.proto, "protocol", text);
	buffer_print(text, " ");
	say_end(frame, &frame->key.saddr, frame->key.sport, text);
	buffer_print(text, " > ");
	say_end(frame, &frame->key.daddr, frame->key.dport, text);
	say_l4(frame, text);
	if (frame->fragment || frame->more)
		buffer_print(text, ", fragment at %u%s", frame->fragment,
			     frame->more ? ", more follow" : ", the last");
	buffer_print(text, ", ttl %u, %u bytes", frame->ttl, frame->len);
}

static void say_mac(const uint8_t mac[static 6], struct buffer *text)
{
	buffer_print(text, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4],
		     mac[5]);
}

void frame_say_all(const uint8_t *data, size_t len, struct buffer *text)
{
	struct frame frame;

	frame_read(data, len, &frame);
	if (frame.depth == FRAME_NOTHING) {
		buffer_print(text, "%zu bytes, too short for a frame", len);
		return;
	}
	say_mac(frame.smac, text);
	buffer_print(text, " > ");
	say_mac(frame.dmac, text);
	for (unsigned i = 0; i < frame.n_tags; i++)
		buffer_print(text, ", vlan %u", frame.tags[i]);
	buffer_print(text, ": ");
	frame_say(&frame, text);
	for (int i = 0; i < TUNNELS_MOST && frame.inner; i++) {
		frame_read_ip(data, len, frame.inner, &frame);
		if (frame.depth < FRAME_IP)
			return;
		buffer_print(text, "; within: ");
		frame_say(&frame, text);
	}
}
