/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One listening socket of one worker.
 *
 * For: workers. Owns: the socket. May know: net, snapshots; which protocol a connection gets.
 * Without descriptors left, a reserve is given up to accept and reset one connection, so that
 * clients see an end instead of waiting.
 */
#ifndef PROXY_LISTENER_H
#define PROXY_LISTENER_H

#include <stdatomic.h>

#include "proxy/session.h"
#include "proxy/worker.h"

#define LISTENER_BACKLOG      4096
#define LISTENER_PER_WAKE     64 /* connections accepted before others have their turn */
#define LISTENER_FULL_WAIT_MS 100

struct listener {
	struct source source;
	struct worker *worker;
	struct service_counts *counts;
	uint64_t serial; /* the same in all workers for one address */
	uint32_t service_id;
	int fd; /* until it is opened, and after */
	bool last;
	struct timer retry;	 /* after running out of descriptors */
	atomic_uint *open_count; /* of the address; falls when this one is closed */
	struct list node;	 /* worker->listeners */
	struct deferred freeing;
};

int listener_reserve(void); /* a descriptor to give up when there are no others */
/* On its worker's thread; <listener> is filled but for source, retry and node. */
void listener_open(struct listener *listener);
/* Serves what is in its queue, closes; its idle sessions end. Frees at the end of the turn. */
void listener_close(struct listener *listener);

#endif
