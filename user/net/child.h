/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Another program, as an event of a loop when it ends.
 *
 * For: whoever starts one. Owns: its pid descriptor; the process until it was reaped.
 * May know: base. Must never know: what the program is for.
 */
#ifndef NET_CHILD_H
#define NET_CHILD_H

#include <sys/types.h>

#include "net/loop.h"

#define CHILD_FD 3 /* where the child finds what it was given */

struct child {
	struct source source; /* a pidfd */
	struct loop *loop;
	pid_t pid; /* 0: none */
	/* With the status of waitpid(2); the child is reaped, and <child> may be started again. */
	void (*on_end)(struct child *child, int status);
};

/*
 * Starts <argv[0]>, looked up in PATH if it holds no slash, with default signals, <env>, and <fd>
 * as its CHILD_FD; of the other descriptors it gets the standard ones. 0 or -errno.
 */
int child_start(struct child *child, struct loop *loop, char *const *argv, char *const *env,
		int fd);
void child_kill(struct child *child); /* SIGKILL; on_end is called when it has ended */
/* Lets it live on its own; it is nobody's affair from now on. Zeroed or twice is fine. */
void child_forget(struct child *child);

#endif
