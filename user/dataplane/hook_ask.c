/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <linux/ethtool.h>
#include <linux/genetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dataplane/hook.h"
#include "dataplane/netlink.h"

/* The "netdev" family, Linux 6.3 and later: Documentation/netlink/specs/netdev.yaml. */
#define NETDEV_FAMILY		 "netdev"
#define NETDEV_DEV_GET		 1
#define NETDEV_ATTR_IFINDEX	 1
#define NETDEV_ATTR_XDP_FEATURES 3
#define NETDEV_XDP_NDO_XMIT	 4

static void ask_driver(const char *ifname, struct hook_facts *facts)
{
	struct ethtool_drvinfo info = {.cmd = ETHTOOL_GDRVINFO};
	struct ifreq request = {.ifr_data = (void *)&info};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return;
	(void)snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", ifname);
	if (ioctl(fd, SIOCETHTOOL, &request) == 0)
		(void)snprintf(facts->driver, sizeof(facts->driver), "%.*s",
			       (int)sizeof(facts->driver) - 1, info.driver);
	(void)close(fd);
}

static void read_family(void *ctx, const struct nlmsghdr *message)
{
	const void *id = netlink_find(message, GENL_HDRLEN, CTRL_ATTR_FAMILY_ID, sizeof(uint16_t));

	if (id)
		memcpy(ctx, id, sizeof(uint16_t));
}

static void read_features(void *ctx, const struct nlmsghdr *message)
{
	struct hook_facts *facts = ctx;
	const void *data =
		netlink_find(message, GENL_HDRLEN, NETDEV_ATTR_XDP_FEATURES, sizeof(uint64_t));
	uint64_t features;

	if (!data)
		return;
	memcpy(&features, data, sizeof(features));
	facts->transmits = features & NETDEV_XDP_NDO_XMIT ? HOOK_TRANSMITS_YES : HOOK_TRANSMITS_NO;
}

static void ask_features(uint32_t ifindex, struct hook_facts *facts)
{
	const struct genlmsghdr get_family = {.cmd = CTRL_CMD_GETFAMILY, .version = 1};
	const struct genlmsghdr get_device = {.cmd = NETDEV_DEV_GET, .version = 1};
	struct netlink_request request;
	uint16_t family = 0;
	int fd = netlink_open(NETLINK_GENERIC, 0);

	if (fd < 0)
		return;
	netlink_begin(&request, GENL_ID_CTRL, 0, &get_family, sizeof(get_family));
	netlink_put(&request, CTRL_ATTR_FAMILY_NAME, NETDEV_FAMILY, sizeof(NETDEV_FAMILY));
	if (netlink_ask(fd, &request, read_family, &family) == 0 && family) {
		netlink_begin(&request, family, 0, &get_device, sizeof(get_device));
		netlink_put(&request, NETDEV_ATTR_IFINDEX, &ifindex, sizeof(ifindex));
		(void)netlink_ask(fd, &request, read_features, facts);
	}
	(void)close(fd);
}

void hook_ask(const char *ifname, uint32_t ifindex, struct hook_facts *ret_facts)
{
	struct hook_facts facts = {.transmits = HOOK_TRANSMITS_UNKNOWN};

	ask_driver(ifname, &facts);
	ask_features(ifindex, &facts);
	*ret_facts = facts;
}
