/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The backend's end of one relayed connection: finds one with room, connects, tries others as the
 * pool says, and counts what goes through it.
 *
 * For: relays. Owns: the channel to the backend, the place in a queue. May know: admission,
 * snapshots, retries. Must never know: the client, what the bytes mean.
 *
 *   state       event                                next
 *   IDLE        the pool is known                    CONNECTING
 *   CONNECTING  all eligible backends are full       QUEUED
 *               connected                            OPEN
 *               refused, timed out, others left      CONNECTING
 *               none left                            FAILED
 *   QUEUED      a backend has room for this one      CONNECTING
 *               no room in time, or the queue full   FULL
 */
#ifndef PROXY_DIAL_H
#define PROXY_DIAL_H

#include "proxy/channel.h"
#include "proxy/retries.h"

struct session;

enum dial_state {
	DIAL_IDLE,	 /* nobody was asked yet */
	DIAL_CONNECTING, /* the backend's connection is not there yet */
	DIAL_QUEUED,	 /* all eligible backends are full: it waits for one to have room */
	DIAL_OPEN,	 /* bytes may flow */
	DIAL_FAILED,	 /* nobody is left to be asked */
	DIAL_FULL,	 /* there was no room */
};

struct dial {
	struct session *session; /* the owner's */
	enum dial_state state;
	struct channel channel;
	uint64_t counted_in, counted_out; /* of the channel */
	struct lb_live *live;		  /* non-NULL: counted as open */
	char name[POOL_NAME_LEN];	  /* of the backend that was asked last */
	uint16_t id;
	uint16_t admitted; /* the backend that a queue has let it in to; 0: none */
	uint32_t pool;	   /* id */
	uint32_t n_asked;  /* backends, before one answered */
	struct retries retries;
	struct waiter *waiter; /* while it is queued */
	struct pick_key key;
	uint32_t connect_ms;
	uint32_t queue_ms; /* 0: as the pool says */
	uint64_t asked_us;
	int64_t connect_us; /* what the last connect took; ACCESS_NO_TIME: it was not made */
	const char *why;    /* the last backend has failed */
	struct timer timer;
	/* The channel is open; then it has something, or takes something. */
	void (*on_open)(struct dial *dial);
	void (*on_ready)(struct dial *dial);
	/* FAILED or FULL, with a word for the access log. */
	void (*on_end)(struct dial *dial, const char *why);
};

/* <dial> is zeroed; the callbacks and times are the owner's to fill. */
void dial_init(struct dial *dial, struct session *session);
/* Any of the callbacks may be called before it returns. */
void dial_start(struct dial *dial, uint32_t pool);
/* CONNECTING: that backend is no use. */
void dial_lost(struct dial *dial, const char *why);
void dial_count(struct dial *dial); /* what has gone through the channel */
/* Whatever the state; no callback comes after it. <reset>: a backend sees RST. */
void dial_close(struct dial *dial, bool reset);

#endif
