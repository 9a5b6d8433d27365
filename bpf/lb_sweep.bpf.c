/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Upkeep of the flow table: a timer of its own that outlives the daemon, and two programs that the
 * daemon runs. Under the timer no packet waits for it.
 */
#include "sweep.h"

/*
 * Gives the timer this program's callback and starts it. An armed timer goes on with the code of
 * the program that armed it: to be run again after every load, before the old program goes.
 */
SEC("syscall")
int lb_sweep_arm(void *ctx)
{
	(void)ctx;
	return sweep_arm();
}

/* Looks at every record once. */
SEC("syscall")
int lb_sweep_now(void *ctx)
{
	(void)ctx;
	return sweep_some(LB_MAX_FLOWS);
}

char _license[] SEC("license") = "Dual BSD/GPL";
