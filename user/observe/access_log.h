/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Lines of the access log: one for each request, or relayed connection.
 *
 * For: proxy workers (write), daemon (open). Owns: compiled logs, for as long as the process runs,
 * so that a request may name one that a reload has taken away. May know: base, http's writer.
 * Values of peers are escaped (escape.h); what is not known is "-", in JSON null.
 */
#ifndef OBSERVE_ACCESS_LOG_H
#define OBSERVE_ACCESS_LOG_H

#include "base/addr.h"
#include "base/error.h"
#include "observe/format.h"
#include "observe/log_ring.h"

#define ACCESS_MAX_VALUE 4096 /* bytes of one value as it is written */
#define ACCESS_NO_TIME	 (-1)

/* Values of struct access_entry and of access_fields. */
enum access_field {
	ACCESS_TIME,
	ACCESS_TIME_CLF,
	ACCESS_CLIENT,
	ACCESS_CLIENT_IP,
	ACCESS_CLIENT_PORT,
	ACCESS_SERVICE,
	ACCESS_POOL,
	ACCESS_BACKEND,
	ACCESS_PROTOCOL,
	ACCESS_METHOD,
	ACCESS_TARGET,
	ACCESS_HOST,
	ACCESS_VERSION,
	ACCESS_REQUEST,
	ACCESS_STATUS,
	ACCESS_REASON,
	ACCESS_BYTES_IN,
	ACCESS_BYTES_OUT,
	ACCESS_QUEUE_MS,
	ACCESS_CONNECT_MS,
	ACCESS_FIRST_BYTE_MS,
	ACCESS_TOTAL_MS,
	ACCESS_RETRIES,
	ACCESS_REUSED,
	ACCESS_REQUEST_ID,
	ACCESS_USER_AGENT,
	ACCESS_REFERER,
	ACCESS_SESSION,
	ACCESS_FIELDS
};

/* All there is to say of one request; an empty slice or a NULL is not known. */
struct access_entry {
	struct addr client;
	const char *service, *pool, *backend; /* "": none */
	const char *protocol;		      /* "http", "tunnel", "relay" */
	struct slice method, target, host;
	struct slice request; /* of a head that is none: its first bytes */
	struct slice request_id, user_agent, referer;
	int minor;	    /* HTTP/1.x; -1: none */
	unsigned status;    /* 0: none was sent */
	const char *reason; /* "ok" */
	uint64_t bytes_in, bytes_out;
	/* Microseconds, one after the other but for the last; ACCESS_NO_TIME: it did not come so
	 * far. */
	int64_t queue_us, connect_us, first_byte_us, total_us;
	uint32_t retries;
	bool reused; /* the backend's connection had served others */
	uint64_t session;
};

struct access_log;

/* Opens the file, compiles the format; NULL for ACCESS_LOG_NONE. Control thread. */
int access_log_open(const struct access_log_spec *spec, const struct access_log **ret_log,
		    struct error *err);
/* The file is one that the configuration uses (log_writer_use()). */
void access_log_use(const struct access_log *log);
void access_log_fini(void); /* all of them, at the end of the process */

bool access_log_wants(const struct access_log *log, enum access_field field);
/* A worker. <entry> ends now. */
void access_log_write(const struct access_log *log, struct log_ring *ring,
		      const struct access_entry *entry);

/* The line alone, without its '\n'; <end_us> is the wall clock's. Pure, for tests. */
void access_log_put(const struct access_log *log, const struct access_entry *entry, int64_t end_us,
		    struct http_writer *w);

#endif
