/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the kernel path needs from configuration, as plain values.
 *
 * For: config and daemon. Owns: nothing. Knows: base.
 */
#ifndef DATAPLANE_SPEC_H
#define DATAPLANE_SPEC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/strtable.h"

enum hook { HOOK_AUTO, HOOK_NATIVE, HOOK_GENERIC, HOOK_TC };
extern const struct strtable hook_names;

struct interface_spec {
	char name[16]; /* IFNAMSIZ */
	enum hook hook;
};

struct dataplane_spec {
	char pin_path[256];
	uint32_t max_flows; /* 0: LB_DEFAULT_FLOWS; ignored when maps are adopted */
	bool fresh;	    /* remove pinned state of another ABI */
	char build[64];	    /* shown in lb_meta; "" is fine */
	bool locked;	    /* the lock was handed over: by the process that still writes */
	int lock_fd;	    /* then; taken over */
};

#endif
