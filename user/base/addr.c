/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "base/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>

#include "base/parse.h"

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

static bool parse_ip(struct slice text, int family, uint8_t ip[static 16])
{
	char copy[INET6_ADDRSTRLEN];

	/* A NUL would hide what follows it from inet_pton(). */
	if (text.len == 0 || text.len >= sizeof(copy) || memchr(text.ptr, '\0', text.len))
		return false;
	memcpy(copy, text.ptr, text.len);
	copy[text.len] = '\0';
	if (family == AF_INET6)
		return inet_pton(AF_INET6, copy, ip) == 1;
	memcpy(ip, mapped, sizeof(mapped));
	return inet_pton(AF_INET, copy, ip + 12) == 1;
}

static const char *parse_port(struct slice text, in_port_t *ret_port)
{
	uint64_t port;

	if (!parse_u64(text, &port) || port == 0 || port > 65535)
		return "the port must be a number from 1 to 65535";
	*ret_port = htons((uint16_t)port);
	return NULL;
}

/* "[fd00::1]:80" or "[fd00::1]". */
static const char *parse_bracketed(struct slice text, struct addr *addr, struct slice *ret_port)
{
	const char *close = memchr(text.ptr, ']', text.len);
	size_t used;

	if (!close)
		return "']' is missing";
	used = (size_t)(close - text.ptr) + 1;
	if (!parse_ip((struct slice){text.ptr + 1, used - 2}, AF_INET6, addr->ip))
		return "not an IPv6 address between '[' and ']'";
	*ret_port = (struct slice){text.ptr + used, text.len - used};
	if (ret_port->len > 0 && *ret_port->ptr != ':')
		return "only ':' and a port may follow ']'";
	return NULL;
}

static const char *parse_plain(struct slice text, struct addr *addr, struct slice *ret_port)
{
	const char *colon = memchr(text.ptr, ':', text.len);
	size_t ip_len = colon ? (size_t)(colon - text.ptr) : text.len;

	if (colon && memchr(colon + 1, ':', text.len - ip_len - 1))
		return "write an IPv6 address with its port as \"[fd00::1]:80\"";
	if (!parse_ip((struct slice){text.ptr, ip_len}, AF_INET, addr->ip))
		return "not an address (10.0.0.1:80 or \"[fd00::1]:80\"; names are not looked up)";
	*ret_port = (struct slice){text.ptr + ip_len, text.len - ip_len};
	return NULL;
}

const char *addr_parse(struct slice text, bool port_needed, struct addr *ret_addr)
{
	struct addr addr = {0};
	struct slice port = {0};
	const char *why;

	if (text.len == 0)
		return "empty";
	if (!port_needed && *text.ptr != '[' && parse_ip(text, AF_INET6, addr.ip)) {
		*ret_addr = addr;
		return NULL;
	}
	why = *text.ptr == '[' ? parse_bracketed(text, &addr, &port)
			       : parse_plain(text, &addr, &port);
	if (why)
		return why;
	if (port.len > 0)
		why = parse_port((struct slice){port.ptr + 1, port.len - 1}, &addr.port);
	else if (port_needed)
		why = "the port is missing";
	if (!why)
		*ret_addr = addr;
	return why;
}

/* At most three digits, without what a number in general would ask for: it is in every request. */
static char *put_octet(char *at, uint8_t octet)
{
	if (octet >= 100)
		*at++ = (char)('0' + octet / 100);
	if (octet >= 10)
		*at++ = (char)('0' + octet / 10 % 10);
	*at++ = (char)('0' + octet % 10);
	return at;
}

static void format_ipv4(const uint8_t ip[4], char *at)
{
	for (int i = 0; i < 4; i++) {
		at = put_octet(at, ip[i]);
		*at++ = i < 3 ? '.' : '\0';
	}
}

const char *addr_format_ip(const struct addr *addr, char text[static ADDR_TEXT_LEN])
{
	if (addr_is_ipv4(addr))
		format_ipv4(addr->ip + 12, text);
	else
		(void)inet_ntop(AF_INET6, addr->ip, text, ADDR_TEXT_LEN);
	return text;
}

const char *addr_format(const struct addr *addr, char text[static ADDR_TEXT_LEN])
{
	char ip[ADDR_TEXT_LEN];

	addr_format_ip(addr, ip);
	if (addr->port == 0)
		(void)snprintf(text, ADDR_TEXT_LEN, "%.*s", ADDR_TEXT_LEN - 1, ip);
	else
		(void)snprintf(text, ADDR_TEXT_LEN, addr_is_ipv4(addr) ? "%.45s:%u" : "[%.45s]:%u",
			       ip, ntohs(addr->port));
	return text;
}

bool addr_is_ipv4(const struct addr *addr)
{
	return memcmp(addr->ip, mapped, sizeof(mapped)) == 0;
}

bool addr_is_any(const struct addr *addr)
{
	static const uint8_t any6[16];

	return memcmp(addr->ip, any6, sizeof(any6)) == 0 ||
	       (addr_is_ipv4(addr) && memcmp(addr->ip + 12, any6, 4) == 0);
}

bool addr_equal(const struct addr *a, const struct addr *b)
{
	return addr_compare(a, b) == 0;
}

int addr_compare(const struct addr *a, const struct addr *b)
{
	int order = memcmp(a->ip, b->ip, sizeof(a->ip));

	return order ? order : memcmp(&a->port, &b->port, sizeof(a->port));
}

socklen_t addr_to_sockaddr(const struct addr *addr, struct sockaddr_storage *ret_sockaddr)
{
	memset(ret_sockaddr, 0, sizeof(*ret_sockaddr));
	if (addr_is_ipv4(addr)) {
		struct sockaddr_in *in = (struct sockaddr_in *)ret_sockaddr;

		in->sin_family = AF_INET;
		in->sin_port = addr->port;
		memcpy(&in->sin_addr, addr->ip + 12, 4);
		return sizeof(*in);
	}
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ret_sockaddr;

	in6->sin6_family = AF_INET6;
	in6->sin6_port = addr->port;
	memcpy(&in6->sin6_addr, addr->ip, 16);
	return sizeof(*in6);
}

int addr_from_sockaddr(const struct sockaddr_storage *sockaddr, struct addr *ret_addr)
{
	if (sockaddr->ss_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)sockaddr;

		memcpy(ret_addr->ip, mapped, sizeof(mapped));
		memcpy(ret_addr->ip + 12, &in->sin_addr, 4);
		ret_addr->port = in->sin_port;
		return 0;
	}
	if (sockaddr->ss_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)sockaddr;

		memcpy(ret_addr->ip, &in6->sin6_addr, 16);
		ret_addr->port = in6->sin6_port;
		return 0;
	}
	return -EAFNOSUPPORT;
}
