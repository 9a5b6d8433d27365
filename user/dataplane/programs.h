/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The BPF programs: loaded anew by every daemon, bound to the maps that are there.
 *
 * For: open (loads), attach (takes the descriptors), trace. Owns: the loaded programs.
 * May know: base, maps, libbpf and the skeletons; nobody else includes a skeleton.
 */
#ifndef DATAPLANE_PROGRAMS_H
#define DATAPLANE_PROGRAMS_H

#include "base/error.h"
#include "dataplane/maps.h"

struct programs {
	int xdp;
	int tc;
	int sweep_arm;
	int sweep_now;
	int clock;
	int flows_kill;
};

#define PROGRAMS_NONE \
	{ \
		.xdp = -1, .tc = -1, .sweep_arm = -1, .sweep_now = -1, .clock = -1, \
		.flows_kill = -1 \
	}

/*
 * Loads the objects. Maps that <maps> has are used; those it lacks are made and added. With
 * <remake> a map of another shape is dropped and made anew, unless flows live in it: -ESTALE, as
 * without <remake> for any map.
 */
int programs_load(struct programs *programs, struct maps *maps, bool remake, struct error *err);
void programs_fini(struct programs *programs);

/* Gives the sweep's timer this program's code and sets it going. */
int programs_arm_sweep(const struct programs *programs, struct error *err);
/* One pass over the flow table, at once. 0 or -errno. */
int programs_sweep(const struct programs *programs);
/* Ends the first <count> flows of lb_kills, if their records are of that generation still. */
int programs_flows_kill(const struct programs *programs, uint32_t count);
/* How long a tick of the kernel is, and the present one. Takes a few ticks. 0 or -errno. */
int programs_tick(const struct programs *programs, uint32_t *ret_tick_ns, uint32_t *ret_now);

/* A program that writes nothing, over the same maps: bpf/trace.h says what it finds. */
struct dry {
	int program;
	int trace; /* its lb_trace */
};

#define DRY_NONE \
	{ \
		.program = -1, .trace = -1 \
	}

/* Loads it unless it is there. */
int dry_load(struct dry *dry, const struct maps *maps, bool tc, struct error *err);
void dry_fini(struct dry *dry);

#endif
