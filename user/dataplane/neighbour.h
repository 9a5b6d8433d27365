/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Next hops that are resolved before a packet needs them, and stay so.
 *
 * For: sync and watch. XDP and TC send frames themselves, so nothing in the stack would notice that
 * an address is unresolved or stale. Each backend, or the gateway on the way to it, becomes a
 * managed neighbour: the kernel keeps it resolved by itself (NTF_EXT_MANAGED, Linux 5.16).
 * Owns: its list and a netlink socket. May know: base, wanted.h.
 * A route or neighbour that cannot be had is not an error: the path works through the stack then.
 */
#ifndef DATAPLANE_NEIGHBOUR_H
#define DATAPLANE_NEIGHBOUR_H

#include "dataplane/wanted.h"

/* Addresses looked up in one call, so that the control thread is not held up by thousands. */
#define NEIGHBOUR_STEP 256

struct neighbour {
	uint8_t ip[16];	  /* a backend's */
	uint8_t hop[16];  /* the neighbour on the way to it */
	uint32_t ifindex; /* 0: none installed */
	bool asked;	  /* since the routes changed last */
};

struct neighbours {
	int fd;
	struct neighbour *rows; /* sorted by ip */
	uint32_t count;
	bool warned;
};

void neighbours_init(struct neighbours *neighbours); /* without netlink it does nothing */
void neighbours_fini(struct neighbours *neighbours); /* those installed stay */
void neighbours_want(struct neighbours *neighbours, const struct wanted *wanted);
/* Installs up to NEIGHBOUR_STEP that were not asked for yet; returns whether some are left. */
bool neighbours_step(struct neighbours *neighbours);

struct neighbour_seen {
	uint16_t state; /* NUD_*; 0: there is none */
	bool managed;	/* the kernel keeps it resolved */
};

/* What the kernel has now. */
void neighbour_ask(int fd, uint32_t ifindex, const uint8_t hop[static 16],
		   struct neighbour_seen *ret_seen);
void neighbours_routes_changed(struct neighbours *neighbours);

#endif
