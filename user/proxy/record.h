/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the access log will say of a request, gathered while it lives.
 *
 * For: clients (begin, end), exchanges (the steps between), relays. Owns: copies of what the log
 * wants of the head, which is gone by then. May know: observe, worker. There is one only where the
 * service has a log, from the worker's stock. All but record_begin() take NULL for none.
 */
#ifndef PROXY_RECORD_H
#define PROXY_RECORD_H

#include "observe/access_log.h"
#include "proxy/channel.h"
#include "proxy/session.h"
#include "proxy/worker.h"

#define RECORD_TEXT 1536 /* more than this of a head is kept in memory of its own */
#define RECORD_KEEP 256	 /* free ones of a worker */
#define RECORD_NAME 64

struct record {
	struct record *next_free;
	const struct access_log *log;
	struct worker *worker;
	struct access_entry entry;
	uint64_t began_us;  /* first byte of the request */
	uint64_t handed_us; /* its head was whole */
	uint64_t asked_us;  /* of the last attempt */
	uint64_t in_before, out_before;
	char service[RECORD_NAME];
	char pool[RECORD_NAME];
	char backend[RECORD_NAME];
	uint32_t used;
	char *more; /* NULL: <text> is enough */
	char text[RECORD_TEXT];
};

/* <head> NULL: it is none; <channel> has its bytes. NULL: the service has no log. */
struct record *record_begin(const struct session *session, const struct channel *channel,
			    const struct http_head *head, uint64_t began_us);
void record_set_request_id(struct record *record, struct slice id);
void record_set_pool(struct record *record, const char *pool);
void record_asked(struct record *record, const char *backend); /* picked */
void record_reused(struct record *record);		       /* with a connection that was idle */
void record_connected(struct record *record);
void record_answered(struct record *record, bool tunnel); /* the head of the final response */
/* Writes the line; <status> 0: none was sent. */
void record_end(struct record *record, const struct channel *channel, unsigned status,
		const char *why);
void records_fini(struct worker *worker); /* the stock */

/* For connections that have no requests: a line of <entry>, of which this fills what a session
 * knows. <log> NULL: none. */
void record_connection(const struct session *session, const struct access_log *log,
		       const char *service, struct access_entry *entry);
/* One that has ended before it said anything. */
void record_turned_away(const struct session *session, const char *why);

#endif
