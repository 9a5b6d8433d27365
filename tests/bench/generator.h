/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A loaded packet generator: frames of many flows, given to a program by test runs or sent alive.
 *
 * For: pktgen.c. Owns: the BPF object of pktgen.bpf.c. May know: pktgen.h, libbpf. What fails ends
 * the process with a message: these are tools of one run.
 */
#ifndef BENCH_GENERATOR_H
#define BENCH_GENERATOR_H

#include <linux/bpf.h>
#include <stdbool.h>

#include "pktgen.h"

/* The program that is measured. */
struct target {
	int fd;
	bool xdp; /* else TC */
};

struct generator {
	struct bpf_object *object;
	struct pktgen_settings settings;
	unsigned ifindex; /* where the packets come in */
	bool xdp;
};

_Noreturn void die(const char *what);
unsigned ifindex_of(const char *name);
struct target target_of(const char *id);

/* All ones, from flows - 1 on: the settings' mask for flows in random order. */
__u32 mask_of(__u32 flows);

void generator_init(struct generator *generator, const struct pktgen_settings *settings);
/* Lets the generator's frames come in at <ifindex> and to <target>. */
void generator_aim(struct generator *generator, const struct target *target, unsigned ifindex);
/* ... and to a program that does nothing. */
void generator_aim_at_none(struct generator *generator);
/* Nanoseconds for each of <count> packets. */
unsigned generator_run(struct generator *generator, unsigned count);
/* Sends <count> frames out of the interface; the nanoseconds for each. */
unsigned generator_send(struct generator *generator, unsigned ifindex, unsigned count);
int generator_program(const struct generator *generator, const char *name);
void generator_fini(struct generator *generator);

#endif
