/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What an lbd and the one that replaces it say to each other: JSON objects with descriptors.
 *
 * For: upgrade.c (the old one), inherit.c (the new one), generation.c. Owns: nothing.
 * May know: net, proxy. A message is {"type": ...}; of a type that is not known it is ignored, so
 * that two versions can meet.
 *
 *   new  hello {version, pid}      I am here, let me have what you have
 *   old  listener + sockets        of one address; api + socket; lock + file; rows + memory
 *   old  generation + channel      an older one that still drains: {pid, sessions, deadline_ms}
 *   old  ids {backends}            whose rows those are
 *   old  prepare {pid, last_session}   that is all; load
 *   new  ready                     loaded; I have written nothing and accept nobody
 *   old  health {backends}         what checks saw: we have stopped checking and writing
 *   old  counts {of, services}     what services counted
 *   old  go
 *   new  serving                   services are open, the API answers
 *   old  main                      you are the one; we drain
 *   old  draining {sessions, deadline_ms, asks}   now and then, with counts, until the channel ends
 *   new  ask {number, act, params}  of the sessions it has left: list, count, kill
 *   old  answer {number, body}
 *   new  down {backends}           these went down, and their pools say on-down: reset
 *   new  failed {why}              instead of ready or serving: go on yourself
 */
#ifndef DAEMON_HANDOVER_H
#define DAEMON_HANDOVER_H

#include <jansson.h>

#include "daemon/load_balancer.h"
#include "net/passing.h"

#define HANDOVER_VARIABLE "LBD_HANDOVER" /* set to the number of the channel's descriptor */
#define SESSIONS_OF_ONE	  1000000000ULL	 /* ids that a process has for its sessions */
#define HANDOVER_LIST	  256		 /* services whose counts are in one message */

struct handover_message {
	json_t *json;
	const char *type;
	int fds[PASSING_MAX_FDS]; /* -1: taken */
	unsigned n_fds;
};

/* Takes <json>, NULL too. 0 or -errno; waits a second at most for one who does not read. */
int handover_send(int channel, json_t *json, const int *fds, unsigned n);
/* 1, 0 at the end of the channel, -EAGAIN, or another -errno. */
int handover_receive(int channel, struct handover_message *ret_message);
void handover_message_fini(struct handover_message *message); /* closes what was not taken */

/* {"web": [opened, ...]} of the proxy's services, without what older generations counted. */
json_t *handover_counts(struct load_balancer *lb);
/* As messages "counts"; takes <counts>. <of>: whose they are, "old", "past" (of processes that have
 * ended) or "generation" (the one named last). 0 or -errno. */
int handover_send_counts(int channel, const char *of, json_t *counts);
/* Adds <more> to <sum>, service by service. */
void handover_add_counts(json_t *sum, const json_t *more);
void handover_read_counts(const json_t *counts, const char *service, struct proxy_stats *ret_stats);

#endif
