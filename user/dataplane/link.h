/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One program on one interface: attach, replace, ask, detach.
 *
 * For: attach and teardown. Owns: pins below <pin_path>/links.
 * May know: this room's state, libbpf. Must never know: which hook is better.
 *
 * Pins are named INTERFACE_KIND (eth0_xdp, eth0_tcx, eth0_clsact); '.' and '%' of a name are
 * written %2e and %25, because a BPF file system has no dots in names.
 */
#ifndef DATAPLANE_LINK_H
#define DATAPLANE_LINK_H

#include "dataplane/state.h"

/* Attaches to <ifindex> and pins; fills <fd> and <pin>. -EBUSY: a foreign program is there. */
int link_attach(struct dataplane *dataplane, struct attachment *attachment, struct error *err);
/* -EBUSY, with what to do, when any XDP program is there. */
int link_refuse_foreign(const struct attachment *attachment, struct error *err);
/* The program is replaced in place. -ENOLINK: the device is gone. */
int link_update(struct dataplane *dataplane, struct attachment *attachment, struct error *err);
/* Detaches, unpins and closes. What is gone already is fine. */
int link_detach(const char *pin_path, struct attachment *attachment);

void link_pin_name(const char *ifname, enum link_kind kind, char ret_name[static 64]);
/* Reads a pin: fills everything that the kernel tells; <ifindex> 0 for a dead one. */
int link_open(const char *pin_path, const char *pin, struct attachment *ret_attachment);
/* Whether its device is there still. */
bool link_alive(const struct attachment *attachment);

#endif
