/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/addr.h"
#include "dataplane/frame.h"

#define MACS \
	"020000000002" \
	"020000000001"

static size_t from_hex(const char *hex, uint8_t *out)
{
	size_t len = 0;

	for (; *hex; hex += 2)
		out[len++] = (uint8_t)strtoul((char[]){hex[0], hex[1], '\0'}, NULL, 16);
	return len;
}

static void set_end(const char *text, struct lb_ip *ip, __be16 *port)
{
	struct addr addr;

	assert_null(addr_parse(slice_of(text), true, &addr));
	memcpy(ip, addr.ip, sizeof(addr.ip));
	*port = addr.port;
}

/* RFC 1071, written anew: the sum of all halves, with the checksum in it, is all ones. */
static uint32_t sum_of(const uint8_t *data, size_t len, uint32_t sum)
{
	for (size_t i = 0; i < len; i++)
		sum += i & 1 ? data[i] : (uint32_t)data[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static void assert_checksums(const uint8_t *frame, size_t len, bool v6, uint8_t proto)
{
	size_t addresses = v6 ? 32 : 8;
	const uint8_t *ip = frame + 14;
	const uint8_t *l4 = ip + (v6 ? 40 : 20);
	size_t l4_len = len - (size_t)(l4 - frame);
	uint32_t pseudo = sum_of(ip + (v6 ? 8 : 12), addresses, proto + (uint32_t)l4_len);

	if (!v6)
		assert_int_equal(sum_of(ip, 20, 0), 0xffff);
	assert_int_equal(sum_of(l4, l4_len, pseudo), 0xffff);
}

static void a_made_packet_reads_back_as_it_was_asked_for(void **state)
{
	static const struct {
		const char *from;
		const char *to;
		uint8_t proto;
		uint8_t flags;
		size_t len;
	} rows[] = {
		{"10.0.0.2:40000", "10.0.0.100:80", IPPROTO_TCP, FRAME_SYN, 54},
		{"10.0.0.2:1", "255.255.255.255:65535", IPPROTO_TCP, FRAME_RST | FRAME_ACK, 54},
		{"10.0.0.2:40000", "10.0.0.100:53", IPPROTO_UDP, 0, 42},
		{"[fd00::2]:40000", "[fd00::100]:80", IPPROTO_TCP, FRAME_ACK, 74},
		{"[fd00::2]:40000", "[fd00::100]:53", IPPROTO_UDP, 0, 62},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct frame asked = {.ttl = 64, .flags = rows[i].flags, .seq = 7, .ack = 9};
		uint8_t bytes[FRAME_MADE_MAX];
		struct frame read;

		asked.key.proto = rows[i].proto;
		asked.v6 = rows[i].from[0] == '[';
		set_end(rows[i].from, &asked.key.saddr, &asked.key.sport);
		set_end(rows[i].to, &asked.key.daddr, &asked.key.dport);
		assert_int_equal(frame_make(&asked, bytes), rows[i].len);
		frame_read(bytes, rows[i].len, &read);
		assert_int_equal(read.depth, FRAME_WHOLE);
		assert_memory_equal(&read.key, &asked.key, sizeof(read.key));
		assert_int_equal(read.v6, asked.v6);
		assert_int_equal(read.flags, asked.flags);
		assert_int_equal(read.ttl, 64);
		assert_int_equal(read.len, rows[i].len - 14);
		assert_int_equal(read.seq, rows[i].proto == IPPROTO_TCP ? 7 : 0);
		assert_checksums(bytes, rows[i].len, asked.v6, rows[i].proto);
	}
}

static const struct {
	const char *hex;
	const char *says;
} frames[] = {
	{MACS "0806"
	      "0001",
	 "02:00:00:00:00:01 > 02:00:00:00:00:02: arp"},
	{MACS "88b5", "02:00:00:00:00:01 > 02:00:00:00:00:02: ethertype 34997"},
	{MACS "8100"
	      "0064"
	      "0800"
	      "4500001c00000000400100000a0000020a000064"
	      "0800000000010001",
	 "02:00:00:00:00:01 > 02:00:00:00:00:02, vlan 100: icmp 10.0.0.2 > 10.0.0.100, echo, ttl "
	 "64, 28 bytes"},
	{MACS "0800"
	      "4500002800004000ff0600000a0000020a000064"
	      "9c4000500000000700000009501200000000ffff",
	 "02:00:00:00:00:01 > 02:00:00:00:00:02: tcp 10.0.0.2:40000 > 10.0.0.100:80, syn, ack, seq "
	 "7, ack 9, ttl 255, 40 bytes"},
	{MACS "0800"
	      "4500001c000020b9401100000a0000020a000064"
	      "0000000000000000",
	 "02:00:00:00:00:01 > 02:00:00:00:00:02: udp 10.0.0.2 > 10.0.0.100, fragment at 1480, more "
	 "follow, ttl 64, 28 bytes"},
	{MACS "0800"
	      "4500003000004000400400000a0001010a00010b"
	      "4500001c00000000401100000a0000020a000064"
	      "1388003500080000",
	 "02:00:00:00:00:01 > 02:00:00:00:00:02: ipip 10.0.1.1 > 10.0.1.11, ttl 64, 48 bytes; "
	 "within: udp 10.0.0.2:5000 > 10.0.0.100:53, ttl 64, 28 bytes"},
	{MACS "0800"
	      "4500003800004000401100000a0001010a00010b"
	      "c00017c000240000"
	      "4500001c00000000401100000a0000020a000064"
	      "1388003500080000",
	 "02:00:00:00:00:01 > 02:00:00:00:00:02: udp 10.0.1.1:49152 > 10.0.1.11:6080, ttl 64, 56 "
	 "bytes; within: udp 10.0.0.2:5000 > 10.0.0.100:53, ttl 64, 28 bytes"},
	{MACS "86dd"
	      "60000000001000403fff000000000000000000000000000a"
	      "3fff000000000000000000000000000b"
	      "3a00000000000000"
	      "8000000000010001",
	 "02:00:00:00:00:01 > 02:00:00:00:00:02: icmpv6 3fff::a > 3fff::b, echo, ttl 64, 56 bytes"},
};

#define N_FRAMES (sizeof(frames) / sizeof(*frames))

static void a_frame_is_said_in_words(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_FRAMES; i++) {
		struct buffer text = {0};
		uint8_t bytes[256];

		frame_say_all(bytes, from_hex(frames[i].hex, bytes), &text);
		assert_string_equal(text.ptr, frames[i].says);
		buffer_fini(&text);
	}
}

/* Each length in memory of its own, so that a sanitizer sees what lies behind it. */
static void a_frame_cut_anywhere_says_only_what_is_there(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_FRAMES; i++) {
		uint8_t bytes[256];
		size_t len = from_hex(frames[i].hex, bytes);
		enum frame_depth before = FRAME_NOTHING;

		for (size_t cut = 0; cut <= len; cut++) {
			uint8_t *copy = malloc(cut ? cut : 1);
			struct buffer text = {0};
			struct frame frame;

			assert_non_null(copy);
			memcpy(copy, bytes, cut);
			frame_read(copy, cut, &frame);
			assert_true(frame.depth >= before);
			assert_true(frame.inner < cut || cut == 0);
			before = frame.depth;
			frame_say_all(copy, cut, &text);
			assert_false(text.failed);
			assert_true(text.len > 0);
			buffer_fini(&text);
			free(copy);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_made_packet_reads_back_as_it_was_asked_for),
		cmocka_unit_test(a_frame_is_said_in_words),
		cmocka_unit_test(a_frame_cut_anywhere_says_only_what_is_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
