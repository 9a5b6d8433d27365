/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Looking into the kernel path: the last packet of a verdict, events as they happen, and what would
 * become of a packet.
 *
 * For: the API. Owns: the programs of traces, the reader of events (both in struct dataplane).
 * May know: base, include/lb. Changes nothing that a packet sees.
 */
#ifndef DATAPLANE_INSIGHT_H
#define DATAPLANE_INSIGHT_H

#include "base/strtable.h"
#include "dataplane/dataplane.h"
#include "dataplane/frame.h"

/* ---- Verdicts ------------------------------------------------------------------------------- */

extern const struct strtable verdict_names;
const char *verdict_words(uint32_t verdict); /* what happened, as abi.h says it */
/* False for what goes on all the time: it is counted, not told. */
bool verdict_is_told(uint32_t verdict);

/* ---- Heads and events ----------------------------------------------------------------------- */

/* The newest head of all CPUs; -ENOENT: no packet had this verdict, or it keeps none. */
int dataplane_head(struct dataplane *dataplane, uint32_t verdict, struct lb_head *ret_head);

/* When it is readable, call on_events, which reads all there is. -errno: there is none. */
int dataplane_events_fd(struct dataplane *dataplane);
void dataplane_on_events(struct dataplane *dataplane,
			 void (*each)(void *ctx, const struct lb_event *event), void *ctx);

/* ---- Traces --------------------------------------------------------------------------------- */

#define TRACE_OUT_MAX 512

/* What happens to the frame; SENT: a rewritten or wrapped packet, ANSWERED: back where it came. */
enum trace_end { TRACE_PASSED, TRACE_DROPPED, TRACE_SENT, TRACE_ANSWERED };

struct trace {
	/* Asked. */
	struct frame packet; /* link addresses are filled in */
	char ifname[16];     /* "": the one that leads to the packet's source */
	/* Answered. */
	enum hook hook;
	struct lb_trace said;
	bool has_service; /* the packet's destination is a service's */
	struct lb_service service;
	struct lb_pool pool;
	enum trace_end end;
	char egress[16]; /* interface of the next hop, "" unknown */
	uint32_t out_len;
	uint8_t out[TRACE_OUT_MAX]; /* the frame afterwards */
};

/*
 * Tries a packet against the live maps with a second load of the programs that writes nothing. The
 * first one takes as long as a start does.
 */
int dataplane_trace(struct dataplane *dataplane, struct trace *trace, struct error *err);

/* Members of the service's pool, each once, as its table lists them. */
struct trace_candidate {
	uint16_t id;
	struct lb_backend backend;
	uint64_t open;
	uint64_t pending;    /* as many as count */
	uint64_t latency_us; /* 0: not known yet */
	uint64_t score;	     /* thousandths; the lowest is taken; by hash or turn: 0 */
	uint32_t slots;	     /* how often the table lists it */
};
void dataplane_candidates(struct dataplane *dataplane, const struct trace *trace,
			  void (*each)(void *ctx, const struct trace_candidate *candidate),
			  void *ctx);

#endif
