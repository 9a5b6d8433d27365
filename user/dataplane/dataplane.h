/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The kernel path as the daemon sees it: load, attach, pin, adopt, write the difference, read.
 *
 * For: everything that is done with BPF. The only room that includes libbpf or a skeleton.
 * Owns: map memory, links, pins below its pin path, and the lock on it.
 * May know: base, include/lb. Must never know: pools, algorithms, services' meaning.
 * Only the control thread calls it.
 *
 * Pins under <pin_path>: maps/lb_*, links/IFACE_xdp, links/IFACE_tcx or IFACE_clsact. They outlive
 * the process: closing does not detach. The first open on a path makes the maps; a later one adopts
 * them. The lock lies in /run/lbd, because a BPF file system holds no regular files (lock.h).
 */
#ifndef DATAPLANE_DATAPLANE_H
#define DATAPLANE_DATAPLANE_H

#include "base/error.h"
#include "dataplane/spec.h"
#include "dataplane/wanted.h"

struct dataplane;

/*
 * -EBUSY another lbd holds the path; -EPERM missing capability; -EOPNOTSUPP kernel too old;
 * -ESTALE pinned state of another ABI or network namespace (--fresh mends the former). Each
 * with a sentence in <err> that says what to do.
 */
int dataplane_open(const struct dataplane_spec *spec, struct dataplane **ret_dataplane,
		   struct error *err);
void dataplane_close(struct dataplane *dataplane); /* leaves the kernel path forwarding */
/*
 * One lbd writes at a time: who holds the lock. It goes to another process as a descriptor: that
 * one opens with it and may look, but writes only after dataplane_write(), which the one before
 * allows by having stopped; that one then calls dataplane_unlock(), or dataplane_write() if it goes
 * on.
 */
int dataplane_lock_fd(const struct dataplane *dataplane);
int dataplane_write(struct dataplane *dataplane, struct error *err);
void dataplane_unlock(struct dataplane *dataplane);
/*
 * Another lbd was to replace this one, may have come as far as to pin, attach and write what is its
 * own, and has ended: pins, programs and the sweep are this one's again. The next sync compares
 * with the maps.
 */
void dataplane_retake(struct dataplane *dataplane);
/* Detaches and unpins everything of this path; works without a daemon. */
int dataplane_teardown(const char *pin_path, struct error *err);

/* Rows of lb_live, LB_MAX_BACKENDS of them, shared with the kernel. */
struct lb_live *dataplane_rows(struct dataplane *dataplane);
bool dataplane_adopted(const struct dataplane *dataplane);

/* What a previous daemon left; for the registry and for ids of services and pools. */
struct dataplane_identities {
	void (*backend)(void *ctx, uint16_t id, const char *pool, const struct addr *addr);
	void (*pool)(void *ctx, uint32_t id, const char *name);
	void (*service)(void *ctx, uint32_t id, const char *name);
};
void dataplane_each_identity(struct dataplane *dataplane, const struct dataplane_identities *fns,
			     void *ctx);

/* Compares with what was last written (at first: with the maps) and writes the difference:
 * eligibility first, then backends, tables, services; removals last. */
int dataplane_sync(struct dataplane *dataplane, const struct wanted *wanted, struct error *err);
void dataplane_set_eligible(struct dataplane *dataplane, uint16_t backend,
			    bool eligible); /* at once */
/* Its flows are to be ended; also for a tombstone. */
void dataplane_set_kill(struct dataplane *dataplane, uint16_t backend, bool kill);
void dataplane_heartbeat(struct dataplane *dataplane); /* about once a second */
/* One step of the sweep at once, for audits and tests. 0 or -errno. */
int dataplane_sweep(struct dataplane *dataplane);

/*
 * Routes, neighbours, addresses and interfaces change: when the descriptor is readable, call
 * on_watch. It makes the kernel path ask for next hops and for tunnels' sources again, and attaches
 * to interfaces that came back (dataplane_refresh does the latter at once). -1: there is nothing to
 * watch.
 */
int dataplane_watch_fd(const struct dataplane *dataplane);
bool dataplane_on_watch(struct dataplane *dataplane); /* whether there is more: call again */
void dataplane_refresh(struct dataplane *dataplane);

struct dataplane_interface {
	char name[16];
	uint32_t ifindex;
	enum hook hook; /* what it runs: native, generic or tc; never auto */
	bool configured_auto;
	char why[256]; /* why auto took it, and what it costs */
};
/* What dataplane_attach() would take, or its refusal; nothing is changed. */
int dataplane_attach_rehearse(struct dataplane *dataplane, const struct interface_spec *iface,
			      struct dataplane_interface *ret_interface, struct error *err);
/* Attaching what is attached already by us adopts it and replaces its program. */
int dataplane_attach(struct dataplane *dataplane, const struct interface_spec *iface,
		     struct error *err);
int dataplane_detach(struct dataplane *dataplane, const char *ifname, struct error *err);
/* From every interface that a previous daemon left attached and nobody asked for since. */
void dataplane_detach_others(struct dataplane *dataplane);

/* Fills up to <size>; returns how many there are. */
uint32_t dataplane_interfaces(struct dataplane *dataplane, struct dataplane_interface *out,
			      uint32_t size);

void dataplane_verdicts(struct dataplane *dataplane, struct lb_count out[static LB_VERDICT_COUNT]);
void dataplane_service_traffic(struct dataplane *dataplane, uint32_t id,
			       struct lb_traffic *ret_traffic);
void dataplane_backend_traffic(struct dataplane *dataplane, uint16_t id,
			       struct lb_traffic *ret_traffic);
const struct lb_meta *dataplane_meta(struct dataplane *dataplane);
/* The service's and the backend's address and port. */
void dataplane_flow_ends(struct dataplane *dataplane, const struct lb_flow *flow,
			 struct addr *ret_vip, struct addr *ret_backend);
/* How long ago a packet of the flow was seen. */
uint64_t dataplane_idle_ms(struct dataplane *dataplane, const struct lb_flow *flow);
/*
 * Ends the flow of a record that each_flow gave: both sides are told by RST. Many are ended at a
 * time, the last of them by dataplane_kill_finish(). 0 or -errno.
 */
int dataplane_kill_flow(struct dataplane *dataplane, uint32_t record, const struct lb_flow *flow);
int dataplane_kill_finish(struct dataplane *dataplane);
/* Every record in use from <first> on, a copy each; stops when <each> returns false. */
void dataplane_each_flow(struct dataplane *dataplane, uint32_t first,
			 bool (*each)(void *ctx, uint32_t record, const struct lb_flow *flow),
			 void *ctx);

#endif
