/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "dataplane/hook.h"

#include <stdio.h>
#include <string.h>

/* Virtual NICs: their frames come with GRO/TSO and partial checksums, which TC keeps. */
static const char *const better_with_tc[] = {"veth", "virtio_net", "tun"};

static bool is_virtual(const char *driver)
{
	for (size_t i = 0; i < sizeof(better_with_tc) / sizeof(*better_with_tc); i++) {
		if (strcmp(driver, better_with_tc[i]) == 0)
			return true;
	}
	return false;
}

enum hook hook_choose(const struct hook_facts *facts, char why[static HOOK_WHY_LEN])
{
	if (is_virtual(facts->driver)) {
		(void)snprintf(why, HOOK_WHY_LEN,
			       "auto: driver '%s' is a virtual device, where TC keeps GRO and TSO; "
			       "costs more per packet than native XDP, less for bulk",
			       facts->driver);
		return HOOK_TC;
	}
	if (facts->transmits == HOOK_TRANSMITS_NO) {
		(void)snprintf(why, HOOK_WHY_LEN,
			       "auto: driver '%s' cannot transmit XDP frames; TC costs more per "
			       "packet than native XDP",
			       *facts->driver ? facts->driver : "unknown");
		return HOOK_TC;
	}
	(void)snprintf(why, HOOK_WHY_LEN,
		       "auto: driver '%s' %s; nftables, conntrack and tcpdump on this host do not "
		       "see what XDP forwards",
		       *facts->driver ? facts->driver : "unknown",
		       facts->transmits == HOOK_TRANSMITS_YES ? "transmits XDP frames"
							      : "is taken to transmit XDP frames");
	return HOOK_NATIVE;
}
