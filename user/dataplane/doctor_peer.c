/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The other end of a veth, in whatever namespace it lies. Only a thread that is in a namespace can
 * ask for what is there, and the control thread must never be elsewhere: so one is made for it.
 */
#include <dirent.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/net_namespace.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dataplane/doctor_facts.h"
#include "dataplane/netlink.h"

#define NETNS_DIR "/run/netns"

struct link_facts {
	uint32_t peer; /* ifindex in its namespace */
	int32_t nsid;  /* that namespace by our number for it; -1: ours */
	bool has_xdp;
};

static void read_link(void *ctx, const struct nlmsghdr *message)
{
	struct link_facts *link = ctx;
	size_t fixed = sizeof(struct ifinfomsg);
	const void *peer = netlink_find(message, fixed, IFLA_LINK, sizeof(uint32_t));
	const void *nsid = netlink_find(message, fixed, IFLA_LINK_NETNSID, sizeof(int32_t));
	const struct rtattr *xdp = netlink_find(message, fixed, IFLA_XDP, RTA_LENGTH(1));

	if (message->nlmsg_type != RTM_NEWLINK)
		return;
	if (peer)
		memcpy(&link->peer, peer, sizeof(link->peer));
	if (nsid)
		memcpy(&link->nsid, nsid, sizeof(link->nsid));
	/* The first attribute within tells how a program is attached. */
	if (xdp && (xdp->rta_type & NLA_TYPE_MASK) == IFLA_XDP_ATTACHED)
		link->has_xdp = *(const uint8_t *)RTA_DATA(xdp) != XDP_ATTACHED_NONE;
}

static int ask_link(uint32_t ifindex, struct link_facts *ret_link)
{
	struct ifinfomsg header = {.ifi_family = AF_UNSPEC, .ifi_index = (int)ifindex};
	struct netlink_request request;
	int fd = netlink_open(NETLINK_ROUTE, 0);
	int rc;

	*ret_link = (struct link_facts){.nsid = -1};
	if (fd < 0)
		return fd;
	netlink_begin(&request, RTM_GETLINK, 0, &header, sizeof(header));
	rc = netlink_ask(fd, &request, read_link, ret_link);
	(void)close(fd);
	return rc;
}

/* ---- The namespace ------------------------------------------------------------------------- */

static void read_nsid(void *ctx, const struct nlmsghdr *message)
{
	const void *nsid =
		netlink_find(message, sizeof(struct rtgenmsg), NETNSA_NSID, sizeof(int32_t));

	if (nsid)
		memcpy(ctx, nsid, sizeof(int32_t));
}

static int32_t nsid_of(int route_fd, int netns_fd)
{
	struct rtgenmsg header = {.rtgen_family = AF_UNSPEC};
	uint32_t fd = (uint32_t)netns_fd;
	struct netlink_request request;
	int32_t nsid = -1;

	netlink_begin(&request, RTM_GETNSID, 0, &header, sizeof(header));
	netlink_put(&request, NETNSA_FD, &fd, sizeof(fd));
	return netlink_ask(route_fd, &request, read_nsid, &nsid) == 0 ? nsid : -1;
}

/* A descriptor of the namespace below /run/netns that has the number, and its name; or -1. */
static int open_named(int32_t nsid, char name[static 64])
{
	DIR *dir = opendir(NETNS_DIR);
	int route_fd = netlink_open(NETLINK_ROUTE, 0);
	const struct dirent *entry;
	int found = -1;

	while (dir && route_fd >= 0 && found < 0 && (entry = readdir(dir))) {
		int fd = openat(dirfd(dir), entry->d_name, O_RDONLY | O_CLOEXEC);

		if (fd >= 0 && entry->d_name[0] != '.' && nsid_of(route_fd, fd) == nsid) {
			(void)snprintf(name, 64, "%.63s", entry->d_name);
			found = fd;
		} else if (fd >= 0) {
			(void)close(fd);
		}
	}
	if (route_fd >= 0)
		(void)close(route_fd);
	if (dir)
		(void)closedir(dir);
	return found;
}

/* ---- There --------------------------------------------------------------------------------- */

struct visit {
	int netns; /* -1: ours */
	uint32_t ifindex;
	struct peer_facts *peer;
};

static void *look(void *ctx)
{
	const struct visit *visit = ctx;
	struct peer_facts *peer = visit->peer;
	struct link_facts link;

	if (visit->netns >= 0 && setns(visit->netns, CLONE_NEWNET) != 0)
		return NULL;
	if (!if_indextoname(visit->ifindex, peer->ifname) || ask_link(visit->ifindex, &link) != 0)
		return NULL;
	peer->has_xdp = link.has_xdp;
	offloads_ask(peer->ifname, &peer->offloads);
	peer->known = true;
	return NULL;
}

void peer_ask(uint32_t ifindex, struct peer_facts *ret_peer)
{
	struct visit visit = {.netns = -1, .peer = ret_peer};
	struct link_facts link;
	pthread_t thread;

	*ret_peer = (struct peer_facts){0};
	if (ask_link(ifindex, &link) != 0 || !link.peer)
		return;
	visit.ifindex = link.peer;
	if (link.nsid >= 0) {
		visit.netns = open_named(link.nsid, ret_peer->netns);
		if (visit.netns < 0)
			return;
	}
	if (pthread_create(&thread, NULL, look, &visit) == 0)
		(void)pthread_join(thread, NULL);
	if (visit.netns >= 0)
		(void)close(visit.netns);
}
