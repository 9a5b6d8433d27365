/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "race.h"

#include <bpf/bpf.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

const struct hook hook_mixed = {.name = "mixed", .xdp = true};

/* Rounds begin together on both CPUs: each waits for the other. */
static atomic_uint arrived;
static bool in_step;

/* ---- Running ------------------------------------------------------------------------------- */

static int stay_on(int cpu)
{
	cpu_set_t here;

	CPU_ZERO(&here);
	CPU_SET(cpu, &here);
	return sched_setaffinity(0, sizeof(here), &here);
}

static void wait_for_the_other(uint32_t round)
{
	uint32_t spins = 0;

	atomic_fetch_add(&arrived, 1);
	while (atomic_load(&arrived) < CPUS * (round + 1))
		if (++spins > 10000)
			sched_yield(); /* the other one may wait for this very CPU */
}

static void *run_rounds(void *arg)
{
	struct runner *runner = arg;

	runner->error = stay_on(runner->number);
	for (uint32_t round = 0; round < runner->rounds; round++) {
		if (in_step)
			wait_for_the_other(round);
		/* An error is kept, and the other CPU not left waiting. */
		if (runner->error == 0)
			runner->error = runner->each(runner, round);
	}
	return NULL;
}

void race(int (*each)(struct runner *, uint32_t), uint32_t rounds, bool step)
{
	struct runner runners[CPUS];

	atomic_store(&arrived, 0);
	in_step = step;
	for (int i = 0; i < CPUS; i++) {
		runners[i] = (struct runner){.number = i, .seed = 77U + i, .each = each};
		runners[i].rounds = rounds;
		runners[i].hook = world.hook != &hook_mixed ? world.hook : i ? &hook_tc : &hook_xdp;
		expect_equal(pthread_create(&runners[i].thread, NULL, run_rounds, &runners[i]), 0);
	}
	for (int i = 0; i < CPUS; i++)
		pthread_join(runners[i].thread, NULL);
	for (int i = 0; i < CPUS; i++)
		if (runners[i].error)
			run_fail("CPU %d: %s", i, strerror(-runners[i].error));
}

/* ---- What must hold ------------------------------------------------------------------------ */

void race_expect_no_lock_held(void)
{
	for (uint32_t i = 0; i < LB_LOCKS; i++) {
		uint64_t lock = 1;

		expect_equal(bpf_map_lookup_elem(world.locks, &i, &lock), 0);
		if (lock)
			run_fail("lock %u was not given back", i);
	}
}
