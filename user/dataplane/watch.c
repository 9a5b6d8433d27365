/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <linux/neighbour.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "dataplane/meta.h"
#include "dataplane/netlink.h"
#include "dataplane/state.h"

/* Datagrams taken in one call; the descriptor stays readable when there are more. */
#define MAX_DATAGRAMS 64

struct changes {
	bool links;
	bool routes;
	bool neighbours;
};

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
	default:
		break;
	}
}

static void drain(int fd, struct changes *changes)
{
	_Alignas(struct nlmsghdr) char buffer[16384];

	for (int i = 0; i < MAX_DATAGRAMS; i++) {
		ssize_t left = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT);
		const struct nlmsghdr *message = (const struct nlmsghdr *)buffer;

		/* The queue ran over: what was lost may have been anything. */
		if (left < 0 && errno == ENOBUFS)
			*changes = (struct changes){true, true, true};
		else if (left < 0)
			return;
		for (; left > 0 && NLMSG_OK(message, left); message = NLMSG_NEXT(message, left))
			read_message(message, changes);
	}
}

int dataplane_watch_fd(const struct dataplane *dp)
{
	return dp->watch_fd;
}

void dataplane_on_watch(struct dataplane *dp)
{
	struct changes changes = {0};

	if (dp->watch_fd < 0)
		return;
	drain(dp->watch_fd, &changes);
	if (changes.routes || changes.neighbours)
		meta_hops_changed(dp->maps.meta);
	if (changes.links)
		dataplane_refresh(dp);
	if (changes.routes || changes.links) {
		neighbours_routes_changed(&dp->neighbours);
		(void)neighbours_step(&dp->neighbours);
	}
}

void dataplane_refresh(struct dataplane *dp)
{
	attachments_refresh(dp);
}
