/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Backends' live rows where there is no kernel path: memory that processes can share.
 *
 * For: load_balancer.c. Owns: nothing; lb->rows and lb->rows_fd. May know: include/lb.
 * An lbd that drains goes on counting in them, so that what is open stays exact over an upgrade.
 */
#ifndef DAEMON_ROWS_H
#define DAEMON_ROWS_H

#include "daemon/load_balancer.h"

/* <fd> is of the lbd before, or -1; taken over. 0 or -errno. */
int rows_open(struct load_balancer *lb, int fd);
void rows_close(struct load_balancer *lb);
/* Nobody else counts: what the lbd before left open, because it was killed, has ended. */
void rows_settle(struct lb_live *rows);

#endif
