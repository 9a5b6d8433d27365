/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which hook "auto" takes on an interface, and why, in words.
 *
 * For: attach. Owns: nothing. May know: base, netlink.
 */
#ifndef DATAPLANE_HOOK_H
#define DATAPLANE_HOOK_H

#include "dataplane/spec.h"

#define HOOK_WHY_LEN 256

enum hook_transmits { HOOK_TRANSMITS_UNKNOWN, HOOK_TRANSMITS_YES, HOOK_TRANSMITS_NO };

struct hook_facts {
	char driver[32];	       /* as ethtool -i shows it; "" unknown */
	enum hook_transmits transmits; /* whether the device can send XDP frames */
};

/* Asks the kernel; what it does not tell is unknown. */
void hook_ask(const char *ifname, uint32_t ifindex, struct hook_facts *ret_facts);
/* Pure: native or tc, never generic; <why> says what it costs too. */
enum hook hook_choose(const struct hook_facts *facts, char why[static HOOK_WHY_LEN]);

#endif
