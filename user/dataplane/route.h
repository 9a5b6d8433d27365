/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The kernel's route to an address.
 *
 * For: neighbour, trace, doctor. Owns: nothing. May know: base, netlink.
 * Addresses are 16 bytes in network order, IPv4 mapped.
 */
#ifndef DATAPLANE_ROUTE_H
#define DATAPLANE_ROUTE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "dataplane/netlink.h"

struct route {
	bool usable;
	uint32_t ifindex;
	uint8_t hop[16]; /* the gateway, or the address itself */
};

struct addr route_addr(const uint8_t ip[static 16]);
bool route_is_ipv4(const uint8_t ip[static 16]);
uint8_t route_family(const uint8_t ip[static 16]);
void route_put_ip(struct netlink_request *request, uint16_t type, const uint8_t ip[static 16]);

/* <fd> is a socket of netlink_open(NETLINK_ROUTE, 0). 0 or -errno; usable: by way of an interface.
 */
int route_ask(int fd, const uint8_t ip[static 16], struct route *ret_route);

#endif
