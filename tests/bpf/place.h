/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Where the tests stand: a network namespace of their own with two veth pairs, routes and permanent
 * neighbours, so that each next hop is known in advance.
 *
 *   clients, by default -- 10.1.0.254 --[ c0  10.1.0.1 ]   a box   [ b0  10.2.0.1 ]-- backends
 *
 * For: world.c and expected frames. Owns: the namespace. Must never know: bpf/.
 */
#ifndef TESTS_BPF_PLACE_H
#define TESTS_BPF_PLACE_H

#include <stdint.h>

#include "lb/abi.h"

#define IPV4(a, b, c, d) ((uint32_t)(a) << 24 | (b) << 16 | (c) << 8 | (d))

/* Backends on the far side, each a neighbour of b0. */
#define BACKEND_ADDR(n) (IPV4(10, 2, 0, 10) + (n))
#define BACKENDS_NEAR	20
/* On the clients' side: the way there leaves by the interface it came in. */
#define BACKEND_SAME_SIDE IPV4(10, 1, 0, 50)
/* On the far side, but no neighbour is known. */
#define BACKEND_UNRESOLVED IPV4(10, 2, 0, 200)
#define BACKEND_NO_ROUTE   IPV4(10, 5, 0, 1)
/* Networks behind the gateway 10.2.0.254. */
#define NET_FAR IPV4(10, 3, 0, 0)
/* Forwarding honours a route's MTU only when it is locked (kernel: ip_mtu_from_fib_result). */
#define NET_NARROW IPV4(10, 4, 0, 0)
#define NARROW_MTU 600

/*
 * The same in IPv6: 2001:db8:<net>::<host> for 10.<net>.0.<host>, and 2001:db8:<net>::fe is a
 * gateway. Net 4 is narrow; IPv6 links take 1280 bytes at least.
 */
#define NARROW_MTU6 1300

enum side { CLIENT_SIDE, BACKEND_SIDE };

struct hop {
	uint8_t dmac[6];
	uint8_t smac[6];
	uint32_t ifindex;
};

/* 0, or that the namespace could not be made. */
int place_make(void);
uint32_t place_ifindex(enum side side);
/* The next hop to an address, as the routes above say it. */
void place_hop(uint32_t addr, struct hop *ret_hop);
struct lb_ip place_ip6(uint16_t net, uint16_t host);
/* Either family. */
void place_hop_ip(const struct lb_ip *addr, struct hop *ret_hop);

#endif
