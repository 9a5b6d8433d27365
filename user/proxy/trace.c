/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "proxy/trace.h"

#include <errno.h>
#include <string.h>
#include <xxhash.h>

#include "proxy/client_request.h"
#include "proxy/forward.h"
#include "proxy/proxy.h"
#include "proxy/route.h"
#include "proxy/state.h"

/* One question on its way. */
struct tracing {
	const struct http_trace_question *question;
	const struct snapshot *snapshot;
	const struct snapshot_service *service;
	struct admission *admission;
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

static bool pick(struct tracing *tracing)
{
	const struct addr *from = &tracing->question->from;
	struct http_trace *trace = tracing->trace;
	struct pick_key key = {.client = trace->forwarded.client,
			       .hash = XXH64(from, sizeof(*from), tracing->service->id)};
	struct admission_ask ask = {.pool = trace->pool, .key = &key};

	switch (admission_foresee(tracing->admission, &ask, &trace->member)) {
	case ADMISSION_IN:
		trace->end = HTTP_TRACE_FORWARDED;
		return true;
	case ADMISSION_NONE:
		refused(trace, 503, "no_backend");
		return false;
	default:
		trace->end = HTTP_TRACE_QUEUED;
		if (admission_waiting(tracing->admission, trace->pool->id) >=
		    trace->pool->spec->queue.size)
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
	trace->pool = &tracing->snapshot->pools[snapshot_next_pool(
		tracing->snapshot, tracing->service, trace->route_index)];
	tracing->variables.pool = trace->pool->spec->name;
	if (pick(tracing))
		put_head(tracing, rule);
}

static void follow(struct tracing *tracing)
{
	struct http_trace *trace = tracing->trace;
	int route;

	if (!parsed(tracing))
		return;
	if (!client_method_allowed(&trace->parsed)) {
		refused(trace, 405, "method_not_allowed");
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

int http_trace(struct proxy *proxy, const struct http_trace_question *question,
	       struct http_trace *ret_trace)
{
	struct tracing tracing = {
		.question = question,
		.snapshot = atomic_load(&proxy->shared.current),
		.admission = proxy->shared.admission,
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
