/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * lbd under systemd: what it is told, the sockets it passes, and those it keeps for us.
 *
 * For: load_balancer.c, apply.c, upgrade.c. Owns: lb->supervisor. May know: net/systemd, proxy.
 * Its store keeps a copy of each listening socket, so that one that crashed and is started again
 * takes them up with what is in their queues. Of several processes only the one that serves speaks.
 */
#ifndef DAEMON_SUPERVISE_H
#define DAEMON_SUPERVISE_H

#include "daemon/load_balancer.h"

/* Reads the environment; before the first thread. */
void supervise_init(struct load_balancer *lb);
void supervise_listeners(struct load_balancer *lb); /* those that were passed, to the proxy */
/* Services are open: closes what was passed in vain, says that we are ready, and stores. */
void supervise_ready(struct load_balancer *lb);
void supervise_reloading(struct load_balancer *lb);
void supervise_reloaded(struct load_balancer *lb); /* or not, for its mistakes */
void supervise_changed(struct load_balancer *lb);  /* there may be other sockets */
void supervise_stopping(struct load_balancer *lb);
/* Another process is the one from now on; this one says no more. */
void supervise_hand_over(struct load_balancer *lb, int pid);
void supervise_fini(struct load_balancer *lb);

#endif
