/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <linux/neighbour.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "dataplane/meta.h"
#include "dataplane/netlink.h"
#include "dataplane/state.h"

/* Datagrams taken in one call, so that a storm of routes does not keep the control thread. */
#define MAX_DATAGRAMS 256

struct changes {
	bool links;
	bool routes;
	bool neighbours;
	bool addresses;
};

int watch_open(void)
{
	return netlink_open(NETLINK_ROUTE, RTMGRP_LINK | RTMGRP_NEIGH | RTMGRP_IPV4_ROUTE |
						   RTMGRP_IPV6_ROUTE | RTMGRP_IPV4_IFADDR |
						   RTMGRP_IPV6_IFADDR);
}

static void read_message(const struct nlmsghdr *message, struct changes *changes)
{
	switch (message->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
		changes->links = true;
		break;
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
		changes->routes = true;
		break;
	case RTM_NEWNEIGH:
	case RTM_DELNEIGH:
		changes->neighbours = true;
		break;
	case RTM_NEWADDR:
	case RTM_DELADDR:
		changes->addresses = true;
		break;
	default:
		break;
	}
}

/* Returns whether there may be more. */
static bool drain(int fd, struct changes *changes)
{
	_Alignas(struct nlmsghdr) char buffer[16384];

	for (int i = 0; i < MAX_DATAGRAMS; i++) {
		ssize_t left = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT);
		const struct nlmsghdr *message = (const struct nlmsghdr *)buffer;

		/* The queue ran over: what was lost may have been anything. */
		if (left < 0 && errno == ENOBUFS)
			*changes = (struct changes){true, true, true, true};
		else if (left < 0)
			return false;
		for (; left > 0 && NLMSG_OK(message, left); message = NLMSG_NEXT(message, left))
			read_message(message, changes);
	}
	return true;
}

int dataplane_watch_fd(const struct dataplane *dp)
{
	return dp->watch_fd;
}

/*
 * The kernel is silent about IPv4 routes that go with their link or address (net/ipv4/
 * fib_frontend.c), so a change of those is one of routes too.
 */
static void react(struct dataplane *dp, const struct changes *changes)
{
	bool routes = changes->routes || changes->links || changes->addresses;

	if (routes || changes->neighbours)
		meta_hops_changed(dp->maps.meta);
	if (changes->links)
		dataplane_refresh(dp);
	if (!routes)
		return;
	neighbours_routes_changed(&dp->neighbours);
	(void)neighbours_step(&dp->neighbours);
	sync_sources_changed(&dp->sync);
	(void)sync_sources_step(&dp->sync, true);
}

bool dataplane_on_watch(struct dataplane *dp)
{
	struct changes changes = {0};
	bool more;

	if (dp->watch_fd < 0)
		return false;
	more = drain(dp->watch_fd, &changes);
	react(dp, &changes);
	return more;
}

void dataplane_refresh(struct dataplane *dp)
{
	attachments_refresh(dp);
}
