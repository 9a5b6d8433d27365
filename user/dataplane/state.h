/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What struct dataplane holds, for the files of this room only.
 */
#ifndef DATAPLANE_STATE_H
#define DATAPLANE_STATE_H

#include "dataplane/bpffs.h"
#include "dataplane/dataplane.h"
#include "dataplane/hook.h"
#include "dataplane/maps.h"
#include "dataplane/neighbour.h"
#include "dataplane/programs.h"
#include "dataplane/sync.h"

#define MAX_ATTACHMENTS 64

/*
 * How a program hangs on an interface.
 *   LINK_XDP     a bpf_link, native or generic
 *   LINK_TCX     a bpf_link, Linux 6.6 and later
 *   LINK_CLSACT  a filter of the clsact qdisc; it is no object of its own, so the program is pinned
 */
enum link_kind { LINK_XDP, LINK_TCX, LINK_CLSACT, LINK_KINDS };

struct attachment {
	struct interface_spec spec; /* as asked for */
	uint32_t ifindex;
	enum hook hook; /* what it runs, never auto */
	enum link_kind kind;
	int fd;	      /* the link, or the program of LINK_CLSACT */
	bool asked;   /* by this process; else left by a previous one */
	bool late;    /* it runs the previous one's program until our maps are written */
	char pin[64]; /* name below links/ */
	char why[HOOK_WHY_LEN];
};

/* Reads lb_events; on_events says to whom. */
struct event_reader {
	struct ring_buffer *ring; /* NULL: nobody asked yet */
	void (*each)(void *ctx, const struct lb_event *event);
	void *ctx;
};

struct dataplane {
	char path[BPFFS_PATH_LEN];
	char build[64]; /* see struct dataplane_spec */
	int lock_fd;
	int watch_fd;
	bool adopted;
	bool empty;  /* adopted, but for maps that were made anew and not written yet */
	bool no_tcx; /* the kernel has none: clsact */
	struct programs programs;
	struct maps maps;
	struct sync sync;
	struct neighbours neighbours;
	struct event_reader events;
	struct dry dry[2]; /* XDP, TC: loaded for the first trace */
	struct attachment attachments[MAX_ATTACHMENTS];
	uint32_t n_attachments;
};

/* Finds what is pinned below links/. */
int attachments_load(struct dataplane *dataplane);
void attachments_fini(struct dataplane *dataplane); /* stays attached */
/* Programs of this process where it had attached them, and only there, whoever came between. */
void attachments_retake(struct dataplane *dataplane);
/* The maps are written: those that are late run our program. */
void attachments_catch_up(struct dataplane *dataplane);
/* Re-creates what this process attached and the kernel lost with its device. */
void attachments_refresh(struct dataplane *dataplane);

/* Descriptor that is readable when links, addresses, routes or neighbours change, or -errno. */
int watch_open(void);

void insight_fini(struct dataplane *dataplane);

#endif
