/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The TC program as a filter of the clsact qdisc, where the kernel has no tcx.
 *
 * For: link. Owns: one filter at a fixed priority and handle; the qdisc stays when the filter
 * goes, because others may use it. A filter there that is not ours is never touched.
 */
#ifndef DATAPLANE_LINK_CLSACT_H
#define DATAPLANE_LINK_CLSACT_H

#include "dataplane/state.h"

#define CLSACT_PRIORITY 50
#define CLSACT_HANDLE	0x6c62 /* "lb" */

/* Adds the filter or replaces ours; <fd> becomes the program. The caller pins it. */
int clsact_attach(struct dataplane *dataplane, struct attachment *attachment, struct error *err);
int clsact_detach(struct attachment *attachment);
bool clsact_alive(const struct attachment *attachment);

#endif
