/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "dataplane/route.h"

#include <string.h>
#include <sys/socket.h>

struct addr route_addr(const uint8_t ip[static 16])
{
	struct addr addr = {0};

	memcpy(addr.ip, ip, sizeof(addr.ip));
	return addr;
}

bool route_is_ipv4(const uint8_t ip[static 16])
{
	struct addr addr = route_addr(ip);

	return addr_is_ipv4(&addr);
}

uint8_t route_family(const uint8_t ip[static 16])
{
	return route_is_ipv4(ip) ? AF_INET : AF_INET6;
}

void route_put_ip(struct netlink_request *request, uint16_t type, const uint8_t ip[static 16])
{
	if (route_is_ipv4(ip))
		netlink_put(request, type, ip + 12, 4);
	else
		netlink_put(request, type, ip, 16);
}

static bool copy_hop(uint8_t family, const void *data, uint8_t hop[static 16])
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	if (!data)
		return false;
	if (family == AF_INET) {
		memcpy(hop, mapped, sizeof(mapped));
		memcpy(hop + 12, data, 4);
	} else {
		memcpy(hop, data, 16);
	}
	return true;
}

static void read_route(void *ctx, const struct nlmsghdr *message)
{
	struct route *route = ctx;
	const struct rtmsg *header = NLMSG_DATA(message);
	const struct rtvia *via;
	const void *oif;

	if (message->nlmsg_type != RTM_NEWROUTE ||
	    message->nlmsg_len < NLMSG_LENGTH(sizeof(*header)) || header->rtm_type != RTN_UNICAST)
		return;
	oif = netlink_find(message, sizeof(*header), RTA_OIF, sizeof(uint32_t));
	if (!oif)
		return;
	memcpy(&route->ifindex, oif, sizeof(route->ifindex));
	route->usable = true;
	/* Without a gateway the hop stays what it was: the backend itself. */
	copy_hop(header->rtm_family,
		 netlink_find(message, sizeof(*header), RTA_GATEWAY,
			      header->rtm_family == AF_INET ? 4 : 16),
		 route->hop);
	/* IPv4 by way of an IPv6 gateway (RFC 5549). */
	via = netlink_find(message, sizeof(*header), RTA_VIA, sizeof(*via) + 16);
	if (via && via->rtvia_family == AF_INET6)
		copy_hop(AF_INET6, via->rtvia_addr, route->hop);
}

int route_ask(int fd, const uint8_t ip[static 16], struct route *ret_route)
{
	struct rtmsg header = {
		.rtm_family = route_family(ip),
		.rtm_dst_len = route_is_ipv4(ip) ? 32 : 128,
	};
	struct netlink_request request;

	*ret_route = (struct route){0};
	memcpy(ret_route->hop, ip, sizeof(ret_route->hop));
	netlink_begin(&request, RTM_GETROUTE, 0, &header, sizeof(header));
	route_put_ip(&request, RTA_DST, ip);
	return netlink_ask(fd, &request, read_route, ret_route);
}
