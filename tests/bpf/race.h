/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Two CPUs that run packets at once, and what must be so when all is over.
 *
 * For: tests of what happens when two packets meet. Owns: the threads, for the time of one race.
 * May know: run.h.
 */
#ifndef TESTS_BPF_RACE_H
#define TESTS_BPF_RACE_H

#include <pthread.h>

#include "run.h"

#define CPUS 2

/* One CPU runs XDP and the other TC. */
extern const struct hook hook_mixed;

struct runner {
	pthread_t thread;
	int number;
	uint32_t seed;
	const struct hook *hook;
	int (*each)(struct runner *runner, uint32_t round);
	uint32_t rounds;
	int error;
};

/* <step>: rounds begin together on both CPUs. */
void race(int (*each)(struct runner *, uint32_t), uint32_t rounds, bool step);
void race_expect_no_lock_held(void);

#endif
