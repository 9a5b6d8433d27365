/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The BPF maps: their descriptors, their pins, and the memory of those that are mapped.
 *
 * For: programs (binds to them), open, counters, flows. Owns: descriptors and mappings.
 * May know: base, include/lb, libbpf. Must never know: what sync writes.
 *
 * A map is known by its name alone, so a map that a program adds is shared and pinned like the
 * others without a word here.
 */
#ifndef DATAPLANE_MAPS_H
#define DATAPLANE_MAPS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "dataplane/map_ops.h"

#define MAPS_MAX      48
#define MAPS_NAME_LEN 16 /* BPF_OBJ_NAME_LEN */

struct bpf_map;

enum maps_found {
	MAPS_NONE,    /* no pins */
	MAPS_BROKEN,  /* a daemon was killed while it made them */
	MAPS_FIT,     /* adopt */
	MAPS_CONTROL, /* flows fit; what does not fit of the rest is made anew */
	MAPS_FOREIGN, /* another flow ABI */
	MAPS_NETNS,   /* another network namespace */
};

struct map_slot {
	char name[MAPS_NAME_LEN];
	int fd;
	bool pinned; /* at its place below the pin path */
};

struct maps {
	struct map_slot slots[MAPS_MAX];
	uint32_t count;
	uint32_t max_flows;
	struct lb_backend *backends;
	struct lb_pool *pools;
	struct lb_slot_line *lines;
	uint64_t *ends; /* LB_ENDS_WORDS */
	struct lb_snat *snat;
	struct lb_ip *vips;
	struct lb_live *live;
	uint64_t *kills; /* LB_KILLS */
	uint32_t n_kills;
	struct lb_flow *flows;
	struct lb_meta *meta;
	/* Asked for once: a lookup by name is not for every call. */
	int services;
	int prefixes;
	int counters;
	int service_stats;
	int backend_stats;
	int devs;
};

uint64_t maps_netns(void); /* inode of our network namespace */
/* Opens what is pinned below <pin_path> and says what it is; no pin is changed. */
enum maps_found maps_find(struct maps *maps, const char *pin_path);
void maps_fini(struct maps *maps); /* zeroed memory is fine; pins stay */
/* Closes and unpins everything that maps_find() opened. */
int maps_remove(struct maps *maps, const char *pin_path);

/* The descriptor of this name, or -1. */
int maps_get(const struct maps *maps, const char *name);
/* Whether a pinned map has the type and sizes of the program's; without it, it is dropped. */
bool maps_fits(const struct maps *maps, const struct bpf_map *map);
/* Flows live in it: it is adopted or nothing is. */
bool maps_is_kept(const char *name);
void maps_drop(struct maps *maps, const char *name);
/* Takes over a duplicate of <fd>. */
int maps_add(struct maps *maps, const char *name, int fd);

/* Maps the memory and checks its sizes, once all maps are there. */
int maps_map(struct maps *maps, struct error *err);
/* Fills lb_meta of new maps, and pins what is not pinned yet, lb_meta last. */
int maps_publish(struct maps *maps, const char *pin_path, struct error *err);
/* Is there one that is not pinned yet? */
bool maps_any_new(const struct maps *maps);
/* Pins once more what another process has pinned a map of its own in place of. */
int maps_retake(struct maps *maps, const char *pin_path, struct error *err);

/* The sync's way into the maps; <ctx> is a struct maps. */
extern const struct map_ops kernel_map_ops;

#endif
