/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "place.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Behind the default gateway. */
#define CLIENT_NET IPV4(198, 51, 100, 0)

static const char setup[] =
	"sysctl -qw net.ipv4.ip_forward=1 && ip -batch - <<-END\n"
	"link set lo up\n"
	"link add c0 address 02:00:00:00:01:01 type veth peer name c1\n"
	"link add b0 address 02:00:00:00:02:01 type veth peer name b1\n"
	"address add 10.1.0.1/24 dev c0\n"
	"address add 10.2.0.1/24 dev b0\n"
	"link set c0 up\n"
	"link set c1 up\n"
	"link set b0 up\n"
	"link set b1 up\n"
	"neighbour add 10.1.0.254 lladdr 02:00:00:00:01:fe dev c0 nud permanent\n"
	"neighbour add 10.1.0.50 lladdr 02:00:00:00:01:32 dev c0 nud permanent\n"
	"neighbour add 10.2.0.254 lladdr 02:00:00:00:02:fe dev b0 nud permanent\n"
	"route add default via 10.1.0.254\n"
	"route add 10.3.0.0/16 via 10.2.0.254\n"
	"route add 10.4.0.0/16 via 10.2.0.254 mtu lock 600\n"
	"route add unreachable 10.5.0.0/16\n"
	"END\n";

/* Addresses are nobody's twice: nothing waits for that to be found out. */
static const char setup6[] =
	"sysctl -qw net.ipv6.conf.all.forwarding=1 && ip -6 -batch - <<-END\n"
	"address add 2001:db8:1::1/64 dev c0 nodad\n"
	"address add 2001:db8:2::1/64 dev b0 nodad\n"
	"neighbour add 2001:db8:1::fe lladdr 02:00:00:00:01:fe dev c0 nud permanent\n"
	"neighbour add 2001:db8:2::fe lladdr 02:00:00:00:02:fe dev b0 nud permanent\n"
	"neighbour add 2001:db8:2::b lladdr 02:00:00:00:02:0b dev b0 nud permanent\n"
	"neighbour add 2001:db8:2::c lladdr 02:00:00:00:02:0c dev b0 nud permanent\n"
	"route add default via 2001:db8:1::fe\n"
	"route add 2001:db8:3::/64 via 2001:db8:2::fe\n"
	"route add 2001:db8:4::/64 via 2001:db8:2::fe mtu lock 1300\n"
	"END\n";

static int add_neighbours(void)
{
	char line[128];

	for (uint32_t n = 1; n <= BACKENDS_NEAR; n++) {
		uint32_t last = BACKEND_ADDR(n) & 0xff;

		(void)snprintf(line, sizeof(line),
			       "ip neighbour add 10.2.0.%u lladdr 02:00:00:00:02:%02x dev b0 "
			       "nud permanent",
			       last, last);
		if (system(line))
			return -1;
	}
	return 0;
}

int place_make(void)
{
	if (unshare(CLONE_NEWNET) || system(setup) || system(setup6))
		return -1;
	return add_neighbours();
}

uint32_t place_ifindex(enum side side)
{
	static uint32_t known[2];

	if (!known[side])
		known[side] = if_nametoindex(side == CLIENT_SIDE ? "c0" : "b0");
	return known[side];
}

void place_hop(uint32_t addr, struct hop *ret_hop)
{
	enum side side = addr >> 16 == NET_FAR >> 16 || addr >> 16 == NET_NARROW >> 16 ||
					 addr >> 8 == BACKEND_ADDR(0) >> 8
				 ? BACKEND_SIDE
				 : CLIENT_SIDE;
	uint8_t net = side == CLIENT_SIDE ? 1 : 2;
	bool on_link = addr >> 8 == IPV4(10, net, 0, 0) >> 8;
	const struct hop hop = {
		.dmac = {2, 0, 0, 0, net, on_link ? addr & 0xff : 0xfe},
		.smac = {2, 0, 0, 0, net, 1},
		.ifindex = place_ifindex(side),
	};

	*ret_hop = hop;
}

struct lb_ip place_ip6(uint16_t net, uint16_t host)
{
	const struct lb_ip ip = {
		.b = {0x20, 0x01, 0x0d, 0xb8, net >> 8, net & 0xff, [14] = host >> 8, host & 0xff}};

	return ip;
}

/* Routes are the same: an address of one family stands for that of the other. */
void place_hop_ip(const struct lb_ip *addr, struct hop *ret_hop)
{
	bool v4 = !addr->q[0] && addr->w[2] == htonl(0xffff);
	uint32_t net = (uint32_t)addr->b[4] << 8 | addr->b[5];

	if (v4)
		place_hop(ntohl(addr->w[3]), ret_hop);
	else
		place_hop(net < 256 ? IPV4(10, net, 0, addr->b[15]) : CLIENT_NET, ret_hop);
}
