/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Processes before this one that still have connections of clients, and say how many.
 *
 * For: status, counts. Owns: a channel to each. May know: handover, proxy.
 */
#ifndef DAEMON_GENERATION_H
#define DAEMON_GENERATION_H

#include "daemon/handover.h"

/* Takes all over: <state> is what it said last, {pid, sessions, deadline_ms}. 0 or -errno. */
int generation_add(struct load_balancer *lb, int channel, json_t *state, json_t *counts);
/* Stops or begins to listen to them: while another process takes the channels over. */
void generations_pause(struct load_balancer *lb);
void generations_resume(struct load_balancer *lb);
/* Hands the channels and what came through them to another process. 0 or -errno. */
int generations_send(struct load_balancer *lb, int channel);
void generations_free(struct load_balancer *lb);
json_t *generations_json(struct load_balancer *lb); /* [{pid, sessions, deadline_ms}] */
/*
 * Asks all about their sessions: <act> is "list", "count" or "kill", <params> the query of the API.
 * The bodies of those who have answered at once; of the others generations_note() says that they
 * are missing. Each waits GENERATION_WAIT_MS at most, all together too.
 */
#define GENERATION_WAIT_MS 200
json_t *generations_ask(struct load_balancer *lb, const char *act, const json_t *params);
/* Tells all that know such messages; takes <json>. */
void generations_tell(struct load_balancer *lb, json_t *json);
/* Adds those who did not answer generations_ask() as "draining" to an answer, if there are any. */
void generations_note(struct load_balancer *lb, json_t *body);
/* Tells the proxy what all processes before this one counted. */
void generations_count(struct load_balancer *lb);

#endif
