/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "proxy/spec.h"

static const char *const protocols[] = {
	[PROTOCOL_TCP] = "tcp",
	[PROTOCOL_UDP] = "udp",
	[PROTOCOL_HTTP] = "http",
};

static const char *const paths[] = {
	[PATH_KERNEL] = "kernel",
	[PATH_PROXY] = "proxy",
};

static const char *const forwards[] = {
	[FORWARD_NAT] = "nat",	 [FORWARD_SNAT] = "snat", [FORWARD_DSR] = "dsr",
	[FORWARD_IPIP] = "ipip", [FORWARD_GUE] = "gue",
};

static const char *const no_flows[] = {
	[NO_FLOW_RESET] = "reset",
	[NO_FLOW_DROP] = "drop",
	[NO_FLOW_PASS] = "pass",
};

const struct strtable protocol_names = STRTABLE(protocols);
const struct strtable path_names = STRTABLE(paths);
const struct strtable forward_names = STRTABLE(forwards);
const struct strtable no_flow_names = STRTABLE(no_flows);
