/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The new side of an upgrade: what the lbd before this one hands over, until this one serves.
 *
 * For: load_balancer.c, entry.c, apply.c. Owns: the descriptors until their rooms take them.
 * May know: handover, every room's state. The calls that wait do so for the process that started
 * this one, which ends it when that takes too long.
 */
#ifndef DAEMON_INHERIT_H
#define DAEMON_INHERIT_H

#include "daemon/load_balancer.h"

struct pool_entry;

/* Fetches what there is: lb->inheritance, or NULL if nobody started this lbd to replace it. */
int inherit_open(struct load_balancer *lb, struct error *err);
/* The sockets to the proxy. */
int inherit_listeners(struct load_balancer *lb, struct error *err);
int inherit_lock(struct load_balancer *lb); /* -1: there is none; the caller owns it */
int inherit_rows(struct load_balancer *lb); /* likewise */
void inherit_each_id(struct load_balancer *lb,
		     void (*each)(void *ctx, uint16_t id, const char *pool,
				  const struct addr *addr));
/* Says that everything is loaded, and waits until the other has stopped: from then on this one
 * writes. */
int inherit_writing(struct load_balancer *lb, struct error *err);
/* What checks of the other saw of a backend that was just added. */
void inherit_health(struct load_balancer *lb, struct pool_entry *entry, struct backend *backend);
int inherit_api(struct load_balancer *lb, int *ret_fd); /* -ENOENT; for admin.socket as it is */
/* Services are open and the API answers: tells the other, which drains. */
int inherit_serving(struct load_balancer *lb, struct error *err);
/* Is that the process which this one replaces, and has not let go yet? Older ones may end
 * meanwhile. */
bool inherit_is_from(const struct load_balancer *lb, long long pid);
void inherit_finish(struct load_balancer *lb); /* the other has let go */
void inherit_fail(struct load_balancer *lb, const char *why);
void inherit_free(struct load_balancer *lb);

#endif
