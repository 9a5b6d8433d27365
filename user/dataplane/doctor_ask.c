/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <arpa/inet.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/addr.h"
#include "dataplane/doctor_facts.h"

/* ---- ethtool ------------------------------------------------------------------------------- */

static int ethtool(int fd, const char *ifname, void *data)
{
	struct ifreq request = {.ifr_data = data};

	(void)snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", ifname);
	return ioctl(fd, SIOCETHTOOL, &request);
}

static uint32_t get(int fd, const char *ifname, uint32_t command)
{
	struct ethtool_value value = {.cmd = command};

	return ethtool(fd, ifname, &value) == 0 ? value.data : 0;
}

void offloads_ask(const char *ifname, struct offloads *ret_offloads)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint32_t flags;

	*ret_offloads = (struct offloads){0};
	if (fd < 0)
		return;
	flags = get(fd, ifname, ETHTOOL_GFLAGS);
	*ret_offloads = (struct offloads){
		.tx_checksum = get(fd, ifname, ETHTOOL_GTXCSUM),
		.gro = get(fd, ifname, ETHTOOL_GGRO),
		.tso = get(fd, ifname, ETHTOOL_GTSO),
		.lro = flags & ETH_FLAG_LRO,
		.rx_vlan = flags & ETH_FLAG_RXVLAN,
	};
	(void)close(fd);
}

/* Where queues of both directions are one, combined; else those of receiving. */
static void ask_queues(int fd, struct interface_facts *iface)
{
	struct ethtool_channels channels = {.cmd = ETHTOOL_GCHANNELS};

	if (ethtool(fd, iface->name, &channels) != 0)
		return;
	iface->queues = channels.combined_count + channels.rx_count;
	iface->queues_most = channels.max_combined + channels.max_rx;
}

/* ---- sysctl -------------------------------------------------------------------------------- */

static bool read_file(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);

	if (fd >= 0)
		(void)close(fd);
	text[n > 0 ? n : 0] = '\0';
	return n > 0;
}

int sysctl_ask(const char *path, const char *ifname)
{
	const char *gap = strstr(path, "%s");
	char full[128];
	char text[32];

	if (!gap)
		return -1;
	(void)snprintf(full, sizeof(full), "/proc/sys/net/%.*s%s%s", (int)(gap - path), path,
		       ifname, gap + 2);
	return read_file(full, text, sizeof(text)) ? (int)strtol(text, NULL, 10) : -1;
}

void ports_ask(uint32_t *ret_first, uint32_t *ret_last)
{
	char text[64];
	char *end = text;

	*ret_first = *ret_last = 0;
	if (!read_file("/proc/sys/net/ipv4/ip_local_port_range", text, sizeof(text)))
		return;
	*ret_first = (uint32_t)strtoul(text, &end, 10);
	*ret_last = (uint32_t)strtoul(end, NULL, 10);
}

/* ---- Interfaces and addresses -------------------------------------------------------------- */

void interface_ask(struct interface_facts *iface, uint32_t ifindex)
{
	struct ifreq request = {0};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	hook_ask(iface->name, ifindex, &iface->driver);
	offloads_ask(iface->name, &iface->offloads);
	iface->rp_filter = sysctl_ask("ipv4/conf/%s/rp_filter", iface->name);
	iface->accept_local = sysctl_ask("ipv4/conf/%s/accept_local", iface->name);
	iface->forwarding4 = sysctl_ask("ipv4/conf/%s/forwarding", iface->name);
	iface->forwarding6 = sysctl_ask("ipv6/conf/%s/forwarding", iface->name);
	if (strcmp(iface->driver.driver, "veth") == 0)
		peer_ask(ifindex, &iface->peer);
	if (fd < 0)
		return;
	ask_queues(fd, iface);
	(void)snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", iface->name);
	if (ioctl(fd, SIOCGIFMTU, &request) == 0)
		iface->mtu = (uint32_t)request.ifr_mtu;
	(void)close(fd);
}

bool is_local_address(const struct lb_ip *ip)
{
	struct ifaddrs *all = NULL;
	bool found = false;

	if (getifaddrs(&all) != 0)
		return false;
	for (const struct ifaddrs *one = all; one && !found; one = one->ifa_next) {
		struct sockaddr_storage sa = {0};
		struct addr addr;

		if (!one->ifa_addr ||
		    (one->ifa_addr->sa_family != AF_INET && one->ifa_addr->sa_family != AF_INET6))
			continue;
		memcpy(&sa, one->ifa_addr,
		       one->ifa_addr->sa_family == AF_INET ? sizeof(struct sockaddr_in)
							   : sizeof(struct sockaddr_in6));
		found = addr_from_sockaddr(&sa, &addr) == 0 &&
			memcmp(addr.ip, ip->b, sizeof(addr.ip)) == 0;
	}
	freeifaddrs(all);
	return found;
}
