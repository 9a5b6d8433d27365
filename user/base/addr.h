/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * An IP address with a port, of either family, as a plain value.
 *
 * For: configuration, sockets, backends, keys. Owns: nothing. Knows: sockets' address types only.
 * IPv4 is stored mapped (::ffff:a.b.c.d), the form the BPF maps use, so that two addresses are
 * equal exactly when their bytes are.
 */
#ifndef BASE_ADDR_H
#define BASE_ADDR_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/slice.h"

/* "[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:65535" and its NUL. */
#define ADDR_TEXT_LEN 64

struct addr {
	uint8_t ip[16]; /* network order, IPv4 mapped */
	in_port_t port; /* network order; 0: none or any */
};

/*
 * "10.0.0.1:80", "[fd00::1]:80", and without a port when <port_needed> is false.
 * Returns NULL when <ret_addr> was filled, else why not ("quote IPv6 addresses as ..."): a
 * constant sentence without the text itself.
 */
const char *addr_parse(struct slice text, bool port_needed, struct addr *ret_addr);
/* Writes "10.0.0.1:80" or "[fd00::1]:80"; without the port when it is 0. Returns <text>. */
const char *addr_format(const struct addr *addr, char text[static ADDR_TEXT_LEN]);
/* The same without the port and without brackets. */
const char *addr_format_ip(const struct addr *addr, char text[static ADDR_TEXT_LEN]);

bool addr_is_ipv4(const struct addr *addr);
bool addr_is_any(const struct addr *addr);
bool addr_equal(const struct addr *a, const struct addr *b);
int addr_compare(const struct addr *a, const struct addr *b); /* total order, like memcmp */

socklen_t addr_to_sockaddr(const struct addr *addr, struct sockaddr_storage *ret_sockaddr);
/* -EAFNOSUPPORT for families other than IPv4 and IPv6. */
int addr_from_sockaddr(const struct sockaddr_storage *sockaddr, struct addr *ret_addr);

#endif
