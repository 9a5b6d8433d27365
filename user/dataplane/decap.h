/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * lb_decap on a backend's interface: takes the outer header off what ipip and gue services send.
 *
 * For: "lbd decap", which does one thing and exits. Owns: the links below DECAP_PATH-NETNS, named
 * after the inode of the network namespace and their interface; they outlive the process. May know:
 * libbpf. Must never know: services.
 */
#ifndef DATAPLANE_DECAP_H
#define DATAPLANE_DECAP_H

#include "base/error.h"

#define DECAP_PATH "/sys/fs/bpf/lbd-decap"

/* Attached already: fine. -EBUSY: another program is there. */
int decap_attach(const char *ifname, struct error *err);
int decap_detach(const char *ifname, struct error *err);

#endif
