/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "proxy/trace.h"

#include <errno.h>
#include <string.h>
#include <xxhash.h>

#include "proxy/client_request.h"
#include "proxy/forward.h"
#include "proxy/proxy.h"
#include "proxy/route.h"
#include "proxy/sources.h"
#include "proxy/state.h"
#include "proxy/sticky.h"

/* One question on its way. */
struct tracing {
	const struct http_trace_question *question;
	const struct snapshot *snapshot;
	const struct snapshot_service *service;
	struct proxy_shared *shared;
	uint64_t now_ms;
	struct sticky_ask sticky;
	struct request_id names;
	struct variables variables;
	struct http_trace *trace;
};

static void refused(struct http_trace *trace, unsigned status, const char *reason)
{
	trace->end = HTTP_TRACE_REFUSED;
	trace->status = status;
	trace->reason = reason;
}

static bool parsed(struct tracing *tracing)
{
	struct http_refusal refusal = {.status = 400, .reason = "bad_request"};
	struct http_trace *trace = tracing->trace;
	struct slice head = tracing->question->head;
	ssize_t n = http_parse_request(head, &trace->parsed, &refusal);

	if (n == (ssize_t)head.len)
		return true;
	if (n > 0) /* an empty line in the question: the rest would be another request */
		refusal = (struct http_refusal){400, "bad_request", (size_t)n};
	refused(trace, refusal.status, n == 0 ? "head_too_large" : refusal.reason);
	trace->offset = refusal.offset;
	return false;
}

static void find_names(struct tracing *tracing)
{
	struct http_trace *trace = tracing->trace;

	forwarded_find(tracing->service->spec, &tracing->question->from, &trace->parsed,
		       &trace->forwarded);
	request_id_take(&tracing->names, &trace->parsed);
	tracing->variables = (struct variables){
		.head = &trace->parsed,
		.client = trace->forwarded.client,
		.request_id = tracing->names.id,
		.traceparent = tracing->names.trace,
		.proto = "http",
		.service = tracing->service->spec->name,
		.pool = "",
	};
}

static void redirected(struct tracing *tracing, const struct route_rule *rule)
{
	struct http_trace *trace = tracing->trace;
	struct http_writer w = {.ptr = trace->location, .size = sizeof(trace->location) - 1};

	format_expand(&rule->redirect, variables_value, &tracing->variables, &w);
	trace->location[w.len] = '\0';
	trace->end = HTTP_TRACE_REDIRECTED;
	trace->status = rule->spec->redirect.code;
	if (w.overflow)
		refused(trace, 500, "response_head_too_large");
}

/* As choose_pool() in client_request.c, but that nobody's turn moves on. */
static void choose_pool(struct tracing *tracing, const struct route_rule *rule)
{
	const struct sticky_spec *spec = &tracing->service->spec->sticky;
	const uint32_t *pools = &tracing->service->route_pool[rule->first_pool];
	const struct snapshot *snapshot = tracing->snapshot;
	struct sticky_ask *ask = &tracing->sticky;
	int pool;

	ask->now_ms = tracing->now_ms;
	ask->drain_ms = rule->timeouts.drain;
	ask->token = spec->cookie[0] ? sticky_read(spec, &tracing->trace->parsed) : 0;
	pool = sticky_pool(snapshot, pools, rule->spec->n_shares, ask);
	if (pool < 0)
		pool = (int)snapshot_next_pool(snapshot, tracing->service,
					       tracing->trace->route_index);
	tracing->trace->pool = &snapshot->pools[pool];
}

static void find_wanted(struct tracing *tracing)
{
	struct http_trace *trace = tracing->trace;

	if (tracing->sticky.token)
		trace->wanted = sticky_member(trace->pool, &tracing->sticky);
	trace->sticky = trace->wanted				   ? HTTP_TRACE_KNOWN
			: tracing->sticky.token			   ? HTTP_TRACE_ASTRAY
			: tracing->service->spec->sticky.cookie[0] ? HTTP_TRACE_NO_COOKIE
								   : HTTP_TRACE_NOT_STICKY;
}

static bool pick(struct tracing *tracing)
{
	const struct addr *from = &tracing->question->from;
	struct admission *admission = tracing->shared->admission;
	struct http_trace *trace = tracing->trace;
	struct pick_key key = {.client = trace->forwarded.client,
			       .hash = XXH64(from, sizeof(*from), tracing->service->id)};
	struct admission_ask ask = {.pool = trace->pool, .key = &key, .preferred = trace->wanted};

	trace->n_waiting = admission_waiting(admission, trace->pool->id);
	switch (admission_foresee(admission, &ask, &trace->member)) {
	case ADMISSION_IN:
		trace->end = HTTP_TRACE_FORWARDED;
		return true;
	case ADMISSION_NONE:
		refused(trace, 503, "no_backend");
		return false;
	default:
		trace->end = HTTP_TRACE_QUEUED;
		if (trace->n_waiting >= trace->pool->spec->queue.size)
			refused(trace, 503, "queue_full");
		return trace->end == HTTP_TRACE_QUEUED;
	}
}

static void put_head(struct tracing *tracing, const struct route_rule *rule)
{
	struct http_trace *trace = tracing->trace;
	struct forward_request forward = {
		.forwarded = &trace->forwarded,
		.names = &tracing->names,
		.edits = &rule->request_edits,
		.variables = &tracing->variables,
		.upgrade = client_upgrade_wanted(&trace->parsed),
		.cookie_name = slice_of(tracing->service->spec->sticky.cookie),
	};

	if (forward_request_put(&forward, &trace->parsed, &trace->head) < 0)
		refused(trace, 431, "head_too_large");
}

static void routed(struct tracing *tracing)
{
	struct http_trace *trace = tracing->trace;
	const struct route_rule *rule = &tracing->service->table->rules[trace->route_index];

	trace->route = rule->spec;
	find_names(tracing);
	if (rule->spec->redirect.code) {
		redirected(tracing, rule);
		return;
	}
	choose_pool(tracing, rule);
	find_wanted(tracing);
	tracing->variables.pool = trace->pool->spec->name;
	if (pick(tracing))
		put_head(tracing, rule);
}

/* Its connection, if it were a new one. */
static bool accepted(struct tracing *tracing)
{
	const struct service_spec *spec = tracing->service->spec;
	struct http_trace *trace = tracing->trace;
	struct source_ask ask = {.service_id = tracing->service->id,
				 .spec = spec,
				 .peer = &tracing->question->from,
				 .now_ms = tracing->now_ms};
	const char *why = sources_foresee(tracing->shared->sources, &ask);

	trace->waits = limits_full(tracing->shared->limits, ask.service_id, spec->max_connections);
	if (why)
		refused(trace, strcmp(why, SOURCES_TOO_MANY) == 0 ? 429 : 0, why);
	return !why;
}

static void follow(struct tracing *tracing)
{
	struct http_trace *trace = tracing->trace;
	int route;

	if (!accepted(tracing) || !parsed(tracing))
		return;
	if (trace->parsed.counts_hops && trace->parsed.max_forwards == 0) {
		trace->end = HTTP_TRACE_ANSWERED;
		trace->status = 200;
		return;
	}
	route = route_find(tracing->service->table, &trace->parsed);
	if (route < 0) {
		refused(trace, 404, "no_route");
		return;
	}
	trace->route_index = (uint32_t)route;
	routed(tracing);
}

uint32_t http_trace_inside(const struct proxy *proxy, uint16_t backend)
{
	return admission_inside(proxy->shared.admission, backend);
}

int http_trace(struct proxy *proxy, const struct http_trace_question *question,
	       struct http_trace *ret_trace)
{
	struct tracing tracing = {
		.question = question,
		.snapshot = atomic_load(&proxy->shared.current),
		.shared = &proxy->shared,
		.now_ms = loop_now_ms(proxy->loop),
		.trace = ret_trace,
	};

	if (tracing.snapshot)
		tracing.service = snapshot_find(tracing.snapshot, question->service);
	if (!tracing.service)
		return -ENOENT;
	memset(ret_trace, 0, offsetof(struct http_trace, parsed));
	ret_trace->head.pos = 0;
	ret_trace->head.len = 0;
	follow(&tracing);
	return 0;
}
