/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "proxy/proxy_protocol.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>

#include "base/parse.h"

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

static ssize_t refuse(struct proxied_refusal *ret_refusal, const char *reason, size_t at)
{
	*ret_refusal = (struct proxied_refusal){.reason = reason, .at = at};
	return -EBADMSG;
}

/* ---- Version 1 ------------------------------------------------------------------------------ */

/* The line without its CRLF, and where its next word begins. */
struct line {
	struct slice text;
	size_t pos;
};

/* Words are parted by one space each; an empty one is none. */
static struct slice next_word(struct line *line)
{
	const char *start = line->text.ptr + line->pos;
	size_t left = line->text.len - line->pos;
	const char *space = memchr(start, ' ', left);
	size_t len = space ? (size_t)(space - start) : left;

	line->pos += len + (space ? 1 : 0);
	return (struct slice){start, len};
}

static bool read_ip(struct slice word, int family, struct addr *addr)
{
	char copy[INET6_ADDRSTRLEN];

	if (word.len >= sizeof(copy) || memchr(word.ptr, '\0', word.len))
		return false;
	memcpy(copy, word.ptr, word.len);
	copy[word.len] = '\0';
	if (family == AF_INET6)
		return inet_pton(AF_INET6, copy, addr->ip) == 1;
	memcpy(addr->ip, mapped, sizeof(mapped));
	return inet_pton(AF_INET, copy, addr->ip + sizeof(mapped)) == 1;
}

/* Without leading zeros (section 2.1): they could be taken for octal. */
static bool read_port(struct slice word, struct addr *addr)
{
	uint64_t port;

	if (word.len == 0 || (word.len > 1 && word.ptr[0] == '0') || !parse_u64(word, &port) ||
	    port > UINT16_MAX)
		return false;
	addr->port = htons((uint16_t)port);
	return true;
}

static ssize_t read_line(struct line *line, int family, struct proxied *proxied,
			 struct proxied_refusal *ret_refusal)
{
	struct addr *const addrs[] = {&proxied->from, &proxied->to};
	size_t at = line->pos;

	for (int i = 0; i < 4; i++, at = line->pos) {
		struct slice word = next_word(line);

		if (i < 2 && !read_ip(word, family, addrs[i]))
			return refuse(ret_refusal, "bad_address", at);
		if (i >= 2 && !read_port(word, addrs[i - 2]))
			return refuse(ret_refusal, "bad_port", at);
	}
	/* A space behind the last word is already too much. */
	if (line->text.ptr[line->text.len - 1] == ' ' || line->pos < line->text.len)
		return refuse(ret_refusal, "bytes_after_port", at);
	proxied->known = true;
	return 0;
}

/* Where the line's CR is; 0: not there yet. */
static ssize_t find_end(struct slice in, struct proxied_refusal *ret_refusal)
{
	for (size_t i = 0; i < in.len; i++) {
		if (i + 1 >= PROXY_PROTOCOL_MAX_V1)
			return refuse(ret_refusal, "line_too_long", i);
		if (in.ptr[i] == '\n')
			return refuse(ret_refusal, "bare_lf", i);
		if (in.ptr[i] != '\r')
			continue;
		if (i + 1 < in.len && in.ptr[i + 1] != '\n')
			return refuse(ret_refusal, "bare_cr", i);
		return i + 1 < in.len ? (ssize_t)i : 0;
	}
	return 0;
}

static ssize_t parse_v1(struct slice in, struct proxied *ret_proxied,
			struct proxied_refusal *ret_refusal)
{
	ssize_t end = find_end(in, ret_refusal);
	struct line line = {.text = {in.ptr, end > 0 ? (size_t)end : 0}};
	struct proxied proxied = {0};
	struct slice word;
	ssize_t err = 0;

	if (end <= 0)
		return end;
	line.pos = sizeof("PROXY ") - 1;
	word = next_word(&line);
	if (slice_eq(word, SLICE("TCP4")))
		err = read_line(&line, AF_INET, &proxied, ret_refusal);
	else if (slice_eq(word, SLICE("TCP6")))
		err = read_line(&line, AF_INET6, &proxied, ret_refusal);
	else if (!slice_eq(word, SLICE("UNKNOWN")))
		return refuse(ret_refusal, "unknown_family", sizeof("PROXY ") - 1);
	if (err < 0)
		return err;
	*ret_proxied = proxied;
	return end + 2;
}

/* ---- Version 2 ------------------------------------------------------------------------------ */

#define V2_HEAD	   16 /* signature, version and command, family, length */
#define V2_COMMAND 12
#define V2_FAMILY  13
#define V2_LENGTH  14

enum { V2_LOCAL = 0x20, V2_PROXY = 0x21 };
enum { V2_UNSPEC = 0x0, V2_INET = 0x1, V2_INET6 = 0x2, V2_UNIX = 0x3 };
enum { V2_ANY = 0x0, V2_STREAM = 0x1, V2_DGRAM = 0x2 };
enum { V2_TLV_CRC32C = 0x03 };

static const struct slice signature = {"\r\n\r\n\0\r\nQUIT\n", 12};

static const size_t address_len[] = {
	[V2_UNSPEC] = 0,
	[V2_INET] = 12,
	[V2_INET6] = 36,
	[V2_UNIX] = 216,
};

static unsigned byte_at(struct slice in, size_t at)
{
	return (unsigned char)in.ptr[at];
}

static size_t u16_at(struct slice in, size_t at)
{
	return byte_at(in, at) << 8 | byte_at(in, at + 1);
}

/* RFC 3720 appendix B.4; headers are short and rare, so a bit at a time will do. */
static uint32_t crc32c_byte(uint32_t crc, unsigned byte)
{
	crc ^= byte;
	for (int bit = 0; bit < 8; bit++)
		crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78U : 0);
	return crc;
}

/* Over the whole header, its own four bytes at <at> taken as zero (section 2.2.3). */
static bool crc_right(struct slice header, size_t at)
{
	uint32_t crc = ~0U;
	uint32_t want = (uint32_t)(u16_at(header, at) << 16 | u16_at(header, at + 2));

	for (size_t i = 0; i < header.len; i++)
		crc = crc32c_byte(crc, i - at < 4 ? 0 : byte_at(header, i));
	return ~crc == want;
}

static ssize_t check_tlvs(struct slice header, size_t at, struct proxied_refusal *ret_refusal)
{
	while (at < header.len) {
		size_t len;

		if (header.len - at < 3)
			return refuse(ret_refusal, "tlv_truncated", at);
		len = u16_at(header, at + 1);
		if (len > header.len - at - 3)
			return refuse(ret_refusal, "tlv_too_long", at + 1);
		if (byte_at(header, at) == V2_TLV_CRC32C &&
		    (len != 4 || !crc_right(header, at + 3)))
			return refuse(ret_refusal, "bad_checksum", at);
		at += 3 + len;
	}
	return 0;
}

/* As much of the fixed part as there is: what is wrong shows as soon as it has come. */
static ssize_t check_head(struct slice in, struct proxied_refusal *ret_refusal)
{
	unsigned family;

	if (in.len > V2_COMMAND && byte_at(in, V2_COMMAND) != V2_LOCAL &&
	    byte_at(in, V2_COMMAND) != V2_PROXY)
		return refuse(ret_refusal,
			      byte_at(in, V2_COMMAND) >> 4 == 2 ? "unknown_command"
								: "unknown_version",
			      V2_COMMAND);
	if (in.len <= V2_FAMILY || byte_at(in, V2_COMMAND) == V2_LOCAL)
		return 0;
	family = byte_at(in, V2_FAMILY);
	if (family >> 4 > V2_UNIX || (family & 15) > V2_DGRAM ||
	    (family >> 4 == V2_UNSPEC) != ((family & 15) == V2_ANY))
		return refuse(ret_refusal, "unknown_family", V2_FAMILY);
	if ((family & 15) == V2_DGRAM)
		return refuse(ret_refusal, "datagram", V2_FAMILY);
	return 0;
}

static void read_addresses(struct slice in, unsigned family, struct proxied *proxied)
{
	size_t len = family == V2_INET ? 4 : 16;
	const char *from = in.ptr + V2_HEAD, *to = from + len, *ports = to + len;

	memcpy(proxied->from.ip, mapped, sizeof(mapped));
	memcpy(proxied->to.ip, mapped, sizeof(mapped));
	memcpy(proxied->from.ip + 16 - len, from, len);
	memcpy(proxied->to.ip + 16 - len, to, len);
	memcpy(&proxied->from.port, ports, 2);
	memcpy(&proxied->to.port, ports + 2, 2);
	proxied->known = true;
}

/* A whole header. LOCAL is the sender's own: what it adds is skipped unread (section 2.2). */
static ssize_t read_v2(struct slice header, struct proxied *ret_proxied,
		       struct proxied_refusal *ret_refusal)
{
	unsigned family = byte_at(header, V2_FAMILY) >> 4;
	struct proxied proxied = {0};

	if (byte_at(header, V2_COMMAND) == V2_PROXY) {
		size_t tlvs = V2_HEAD + address_len[family];

		if (header.len < tlvs)
			return refuse(ret_refusal, "too_short_for_family", V2_LENGTH);
		if (check_tlvs(header, tlvs, ret_refusal) < 0)
			return -EBADMSG;
		if (family == V2_INET || family == V2_INET6)
			read_addresses(header, family, &proxied);
	}
	*ret_proxied = proxied;
	return (ssize_t)header.len;
}

static ssize_t parse_v2(struct slice in, struct proxied *ret_proxied,
			struct proxied_refusal *ret_refusal)
{
	size_t len;

	if (check_head(in, ret_refusal) < 0)
		return -EBADMSG;
	if (in.len < V2_HEAD)
		return 0;
	len = V2_HEAD + u16_at(in, V2_LENGTH);
	if (len > PROXY_PROTOCOL_MAX)
		return refuse(ret_refusal, "too_long", V2_LENGTH);
	if (in.len < len)
		return 0;
	return read_v2((struct slice){in.ptr, len}, ret_proxied, ret_refusal);
}

/* ---- Both ----------------------------------------------------------------------------------- */

/* How many bytes of <start> are at the beginning of <in>. */
static size_t same(struct slice in, struct slice start)
{
	size_t i = 0;

	while (i < in.len && i < start.len && in.ptr[i] == start.ptr[i])
		i++;
	return i;
}

ssize_t proxy_protocol_parse(struct slice in, struct proxied *ret_proxied,
			     struct proxied_refusal *ret_refusal)
{
	bool v1 = in.len > 0 && in.ptr[0] == 'P';
	struct slice start = v1 ? SLICE("PROXY ") : signature;
	size_t n = same(in, start);

	if (n < start.len && n < in.len)
		return refuse(ret_refusal, "no_header", n);
	if (n < start.len)
		return 0;
	return v1 ? parse_v1(in, ret_proxied, ret_refusal) : parse_v2(in, ret_proxied, ret_refusal);
}

/* Section 2.1 knows groups of hexadecimal digits only, so a mapped IPv4 address is not written in
 * the mixed form of inet_ntop(). */
static void format_ip(const struct addr *addr, bool v4, char text[static INET6_ADDRSTRLEN])
{
	const uint8_t *ip = addr->ip + sizeof(mapped);

	if (!v4 && addr_is_ipv4(addr))
		(void)snprintf(text, INET6_ADDRSTRLEN, "::ffff:%x:%x", ip[0] << 8 | ip[1],
			       ip[2] << 8 | ip[3]);
	else
		inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? ip : addr->ip, text, INET6_ADDRSTRLEN);
}

static size_t write_v1(const struct addr *from, const struct addr *to, bool v4, char *out)
{
	char from_ip[INET6_ADDRSTRLEN], to_ip[INET6_ADDRSTRLEN];

	format_ip(from, v4, from_ip);
	format_ip(to, v4, to_ip);
	return (size_t)snprintf(out, PROXY_PROTOCOL_ROOM, "PROXY TCP%c %s %s %u %u\r\n",
				v4 ? '4' : '6', from_ip, to_ip, ntohs(from->port), ntohs(to->port));
}

static size_t write_v2(const struct addr *from, const struct addr *to, bool v4, char *out)
{
	size_t len = v4 ? 4 : 16;
	unsigned family = v4 ? V2_INET : V2_INET6;
	char *ports = out + V2_HEAD + 2 * len;

	memcpy(out, signature.ptr, signature.len);
	out[V2_COMMAND] = V2_PROXY;
	out[V2_FAMILY] = (char)(family << 4 | V2_STREAM);
	out[V2_LENGTH] = 0;
	out[V2_LENGTH + 1] = (char)address_len[family];
	memcpy(out + V2_HEAD, from->ip + 16 - len, len);
	memcpy(out + V2_HEAD + len, to->ip + 16 - len, len);
	memcpy(ports, &from->port, 2);
	memcpy(ports + 2, &to->port, 2);
	return V2_HEAD + address_len[family];
}

/* Both addresses are of one family in either version: if one is IPv6, both are written so. */
size_t proxy_protocol_write(unsigned version, const struct addr *from, const struct addr *to,
			    char out[static PROXY_PROTOCOL_ROOM])
{
	bool v4 = addr_is_ipv4(from) && addr_is_ipv4(to);

	return version == 1 ? write_v1(from, to, v4, out) : write_v2(from, to, v4, out);
}
