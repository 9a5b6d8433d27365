/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The only file here that knows the skeletons: objects in, descriptors and memory out.
 *
 * For: world.c. Owns: the objects, until load_close(). May know: libbpf.
 */
#ifndef TESTS_BPF_LOAD_H
#define TESTS_BPF_LOAD_H

#include <stddef.h>
#include <stdint.h>

struct load_constants {
	uint32_t max_flows;
	uint32_t reply_rate;
	uint32_t reply_burst;
};

struct load_programs {
	int xdp;
	int tc;
	int dry_xdp; /* the same, told to write nothing */
	int dry_tc;
	int decap;
	int sweep;
	int arm;
	int clock;
	int kill;
};

/* 0 or -errno. */
int load_objects(const struct load_constants *constants, struct load_programs *ret_programs);
void load_close(void);
/* Descriptor of a map, or negative. */
int load_map(const char *name);
/* The <i>th map that the programs share, NULL behind the last; with its descriptor. */
const char *load_map_at(uint32_t i, int *ret_fd);
/* The memory of an mmapable array, or NULL. <ret_size> may be NULL. */
void *load_memory(const char *name, size_t *ret_size);

#endif
