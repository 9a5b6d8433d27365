/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What every client connection is, HTTP or relay: where it came from and how to end it.
 *
 * For: workers, which end sessions without knowing their protocol. Owns: nothing.
 */
#ifndef PROXY_SESSION_H
#define PROXY_SESSION_H

#include <stdbool.h>

#include "base/addr.h"
#include "base/list.h"
#include "proxy/counts.h"
#include "proxy/spec.h"

struct session;
struct worker;

/* For an operator; valid until the session's worker goes on. */
struct session_info {
	const char *protocol; /* "http", "tunnel", "tcp" */
	const char *state;    /* a word */
	const char *backend;  /* "": none */
	uint16_t backend_id;  /* 0: none */
	uint32_t pool;	      /* id, while there is a backend */
	uint32_t requests;
	uint64_t bytes_in, bytes_out; /* from and to the client */
	const char *request;	      /* the current one, "GET /path", cut short; "": none */
};

struct session_ops {
	void (*describe)(const struct session *session, struct session_info *ret_info);
	void (*retire)(struct session *session); /* end when what is in flight is done */
	void (*abort)(struct session *session);	 /* end now */
	/* End what it has at its backend, which is down; it has one. */
	void (*backend_down)(struct session *session);
};

struct session {
	struct list node; /* worker->sessions */
	const struct session_ops *ops;
	struct worker *worker;
	struct service_counts *counts;
	uint64_t listener; /* serial of the listener it came through */
	uint64_t id;	   /* of no other session of this process, or of those before it */
	uint64_t opened_ms;
	uint64_t active_ms; /* when bytes were moved last */
	uint32_t service_id;
	struct addr peer;
	struct addr local; /* as arrival.local */
	bool of_source;	   /* it is counted among the connections of the source of peer */
};

/* How a new connection comes to its protocol: what listener.c knows of it. */
struct arrival {
	struct worker *worker;
	struct service_counts *counts;
	uint64_t listener;
	uint32_t service_id;
	int fd;		   /* taken over */
	struct addr peer;  /* who a PROXY header names, or the other end */
	struct addr local; /* what it names as the target; port 0: the socket's own address holds */
	bool of_source;	   /* see session; whoever takes the arrival over takes that over */
	const char *refused; /* HTTP says so, with 429: too many connections of one source */
	bool last;	     /* its listener is closing: one request, no keep-alive */
};

/* Ids of sessions to come are above <last>: those of a process before this one are its own. Before
 * the first session. */
void session_number_from(uint64_t last);
void session_init(struct session *session, const struct session_ops *ops,
		  const struct arrival *arrival);

#endif
