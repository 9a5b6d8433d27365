/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One listening socket, which one worker accepts from at a time.
 *
 * For: bindings (binding.c), which own the socket and the memory, and choose the worker.
 * Owns: nothing. May know: net, snapshots; which protocol a connection gets.
 * Without descriptors left, a reserve is given up to accept and reset one connection, so that
 * clients see an end instead of waiting.
 */
#ifndef PROXY_LISTENER_H
#define PROXY_LISTENER_H

#include <stdatomic.h>

#include "proxy/proxy.h"
#include "proxy/session.h"
#include "proxy/worker.h"

#define LISTENER_BACKLOG      PROXY_BACKLOG
#define LISTENER_PER_WAKE     64 /* connections accepted before others have their turn */
#define LISTENER_FULL_WAIT_MS 100
#define LISTENER_CLOSE_MS     100 /* for handshakes that have begun, before the socket is closed */

struct listener {
	struct source source;
	struct worker *worker; /* NULL: nobody accepts */
	struct service_counts *counts;
	uint64_t serial; /* the same for all sockets of one address */
	uint32_t service_id;
	int fd;
	atomic_bool last;   /* it is closing: its connections get one request */
	struct timer retry; /* after running out of descriptors */
	struct list paused; /* in its worker's list: there was no room for a connection */
};

/* Gives a connection, whose PROXY header was read if there is one, to its service's protocol. */
void arrival_serve(struct arrival *arrival);
/* There will be no session of it; its descriptor is another matter. */
void arrival_lost(const struct arrival *arrival);
int listener_reserve(void); /* a descriptor to give up when there are no others */
/* On its worker's thread; <listener> is filled but for source and retry. */
void listener_open(struct listener *listener);
void listener_serve(struct listener *listener);	  /* all that is in its queue */
void listener_release(struct listener *listener); /* stops accepting; twice is fine */

#endif
