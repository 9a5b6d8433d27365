/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/parse.h"
#include "daemon/api.h"
#include "daemon/flow_filter.h"

/* A page: all of a full table at once would be 300 MB, and nothing else is done meanwhile. */
#define FLOWS_DEFAULT 1000
#define FLOWS_MAX     4000

static const char *const state_texts[] = {
	[LB_FLOW_SYN] = "syn",
	[LB_FLOW_SYNACK] = "syn-ack",
	[LB_FLOW_OPEN] = "open",
	[LB_FLOW_FIN_CLIENT] = "fin-client",
	[LB_FLOW_FIN_BACKEND] = "fin-backend",
	[LB_FLOW_CLOSING] = "closing",
	[LB_FLOW_RESET] = "reset",
	[LB_FLOW_UDP_NEW] = "udp-new",
	[LB_FLOW_UDP_OPEN] = "udp-open",
	[LB_FLOW_RESTING] = "resting",
};
static const struct strtable state_names = STRTABLE(state_texts);

const char *api_flow_state(uint32_t state)
{
	return strtable_name(&state_names, (int)state);
}

/* What is done with the flows that are meant. */
enum act { ACT_LIST, ACT_COUNT, ACT_REHEARSE_KILL, ACT_KILL };

struct walk {
	struct load_balancer *lb;
	struct flow_filter filter;
	enum act act;
	uint64_t limit;
	uint64_t count;
	uint64_t first; /* record to begin with */
	uint64_t next;	/* record the next page begins with; 0: there is none */
	int error;	/* of a kill */
	json_t *list;
	const struct backend *backends[LB_MAX_BACKENDS]; /* by id */
};

/* ---- JSON ----------------------------------------------------------------------------------- */

static const char *pool_name(const struct walk *walk, uint16_t id)
{
	const struct backend *known = walk->backends[id];
	const struct backend_check *check = known ? known->user : NULL;

	if (check)
		return pool_spec(check->entry->pool)->name;
	list_for_each (node, &walk->lb->tombstones) {
		const struct tombstone *tombstone = container_of(node, struct tombstone, node);

		if (tombstone->id == id)
			return ids_name(&walk->lb->pool_ids, tombstone->pool);
	}
	return "";
}

static json_t *addr_json(const struct addr *addr)
{
	char text[ADDR_TEXT_LEN];

	return json_string(addr_format(addr, text));
}

/* The addresses of a flow as people know them. */
struct ends {
	struct addr client;
	struct addr vip;
	struct addr backend;
};

static struct ends ends_of(const struct walk *walk, const struct lb_flow *flow)
{
	struct ends ends = {.client.port = flow->client_port};

	memcpy(ends.client.ip, flow->client.b, sizeof(ends.client.ip));
	dataplane_flow_ends(walk->lb->dataplane, flow, &ends.vip, &ends.backend);
	return ends;
}

static json_t *flow_json(const struct walk *walk, const struct lb_flow *flow,
			 const struct ends *ends)
{
	bool killed = flow->word & LB_FLOW_KILLED;

	return json_pack("{s:s,s:o,s:o,s:o,s:s,s:s,s:s,s:s,s:I,s:b}", "service",
			 ids_name(&walk->lb->service_ids, flow->service), "client",
			 addr_json(&ends->client), "vip", addr_json(&ends->vip), "backend",
			 addr_json(&ends->backend), "pool", pool_name(walk, flow->backend),
			 "protocol", flow->proto == LB_PROTO_UDP ? "udp" : "tcp", "forward",
			 strtable_name(&forward_names, flow->forward), "state",
			 killed ? "killed" : api_flow_state(LB_FLOW_STATE(flow->word)), "idle_ms",
			 (json_int_t)dataplane_idle_ms(walk->lb->dataplane, flow), "counted",
			 (flow->word & LB_FLOW_COUNTED) != 0);
}

/* ---- The walk ------------------------------------------------------------------------------- */

static bool visit(void *ctx, uint32_t record, const struct lb_flow *flow)
{
	struct walk *walk = ctx;
	struct ends ends = ends_of(walk, flow);

	if (!flow_filter_takes(&walk->filter, flow, &ends.backend))
		return true;
	if (walk->count == walk->limit) {
		walk->next = record;
		return false;
	}
	if (walk->act == ACT_LIST)
		(void)json_array_append_new(walk->list, flow_json(walk, flow, &ends));
	if (walk->act >= ACT_REHEARSE_KILL && flow->word & LB_FLOW_KILLED)
		return true;
	if (walk->act == ACT_KILL) {
		walk->error = dataplane_kill_flow(walk->lb->dataplane, record, flow);
		if (walk->error)
			return false;
	}
	walk->count++;
	return true;
}

static void index_backends(struct walk *walk)
{
	list_for_each (node, &walk->lb->pools) {
		list_for_each (member, pool_all(entry_of(node)->pool))
			walk->backends[backend_of(member)->id] = backend_of(member);
	}
}

/* By name, in any pool, also of one that was removed; or by address. */
static bool read_backend(struct walk *walk, const char *text, struct control_reply *reply)
{
	struct flow_filter *filter = &walk->filter;

	for (uint32_t id = 1; id < LB_MAX_BACKENDS; id++) {
		if (walk->backends[id] && strcmp(walk->backends[id]->spec.name, text) == 0)
			flow_filter_add_id(filter, (uint16_t)id);
	}
	list_for_each (node, &walk->lb->tombstones) {
		const struct tombstone *tombstone = container_of(node, struct tombstone, node);

		if (strcmp(tombstone->name, text) == 0)
			flow_filter_add_id(filter, tombstone->id);
	}
	filter->has_address = !addr_parse(slice_of(text), false, &filter->address);
	if (!filter->has_address && !filter->has_backend)
		api_not_found(reply, "backend", text);
	filter->has_backend = true;
	return reply->status < 300;
}

static bool read_service(struct walk *walk, const char *name, struct control_reply *reply)
{
	uint32_t id = ids_find(&walk->lb->service_ids, name);

	if (id == 0) {
		api_not_found(reply, "service", name);
		return false;
	}
	walk->filter.has_service = true;
	walk->filter.service = (uint16_t)id;
	return true;
}

static bool read_limit(struct walk *walk, const char *limit, struct control_reply *reply)
{
	if (parse_u64(slice_of(limit), &walk->limit) && walk->limit > 0 && walk->limit <= FLOWS_MAX)
		return true;
	control_fail(reply, 400, "invalid", "limit",
		     "'%s': a number from 1 to %d; the rest is asked for by 'from', which is the "
		     "'next' of the answer",
		     limit, FLOWS_MAX);
	return false;
}

static bool read_first(struct walk *walk, const char *from, struct control_reply *reply)
{
	if (parse_u64(slice_of(from), &walk->first) && walk->first <= UINT32_MAX)
		return true;
	control_fail(reply, 400, "invalid", "from", "'%s': the 'next' of an answer", from);
	return false;
}

/* Which part of a list. */
static bool read_page(struct walk *walk, const struct control_request *request,
		      struct control_reply *reply)
{
	const char *limit = control_param(request, "limit");
	const char *from = control_param(request, "from");

	return (!limit || read_limit(walk, limit, reply)) &&
	       (!from || read_first(walk, from, reply));
}

static bool read_filters(const struct control_request *request, struct control_reply *reply,
			 struct walk *walk)
{
	const char *service = control_param(request, "service");
	const char *backend = control_param(request, "backend");
	const char *client = control_param(request, "client");
	const char *why = client ? flow_filter_client(&walk->filter, client) : NULL;

	if (why) {
		control_fail(reply, 400, "invalid", "client", "'%s': %s", client, why);
		return false;
	}
	if (walk->act >= ACT_REHEARSE_KILL && !service && !backend && !client &&
	    !control_param(request, "all")) {
		control_fail(reply, 400, "invalid", "all",
			     "say which: service, backend or client; or all");
		return false;
	}
	if (walk->act == ACT_LIST && !read_page(walk, request, reply))
		return false;
	return (!service || read_service(walk, service, reply)) &&
	       (!backend || read_backend(walk, backend, reply));
}

static void answer(struct walk *walk, struct control_reply *reply)
{
	if (walk->error)
		control_fail(reply, 500, "failed", NULL, "ended at most %llu flows, then: %s",
			     (unsigned long long)walk->count, strerror(-walk->error));
	else if (walk->act == ACT_LIST && walk->next)
		reply->body =
			json_pack("{s:O,s:I}", "flows", walk->list, "next", (json_int_t)walk->next);
	else if (walk->act == ACT_LIST)
		reply->body = json_pack("{s:O}", "flows", walk->list);
	else
		reply->body = json_pack("{s:I}", "count", (json_int_t)walk->count);
}

static struct walk *walk_new(struct load_balancer *lb, enum act act, struct control_reply *reply)
{
	struct walk *walk = calloc(1, sizeof(*walk));

	if (!walk) {
		control_fail(reply, 500, "out_of_memory", NULL, "out of memory");
		return NULL;
	}
	walk->lb = lb;
	walk->act = act;
	walk->limit = act == ACT_LIST ? FLOWS_DEFAULT : UINT64_MAX;
	walk->list = json_array();
	index_backends(walk);
	return walk;
}

static void walk_run(struct walk *walk, struct control_reply *reply)
{
	struct dataplane *dataplane = walk->lb->dataplane;

	if (dataplane)
		dataplane_each_flow(dataplane, (uint32_t)walk->first, visit, walk);
	if (dataplane && walk->act == ACT_KILL && walk->error == 0)
		walk->error = dataplane_kill_finish(dataplane);
	answer(walk, reply);
}

static void walk_free(struct walk *walk)
{
	json_decref(walk->list);
	free(walk);
}

static void run(struct load_balancer *lb, const struct control_request *request,
		struct control_reply *reply, enum act act)
{
	struct walk *walk = walk_new(lb, act, reply);

	if (!walk)
		return;
	if (read_filters(request, reply, walk))
		walk_run(walk, reply);
	walk_free(walk);
}

static enum act kill_or_rehearse(const struct control_request *request)
{
	return api_is_dry(request) ? ACT_REHEARSE_KILL : ACT_KILL;
}

/* The flows of the kernel path are ended; now the connections of the proxy. */
static void kill_sessions(const struct walk *walk, uint16_t id, struct control_reply *reply)
{
	json_int_t sessions;

	json_decref(reply->body);
	reply->body = NULL;
	api_sessions_kill_backend(walk->lb, id, walk->act == ACT_REHEARSE_KILL, reply);
	if (reply->status >= 300)
		return;
	sessions = json_integer_value(json_object_get(reply->body, "count"));
	(void)json_object_set_new(reply->body, "flows", json_integer((json_int_t)walk->count));
	(void)json_object_set_new(reply->body, "sessions", json_integer(sessions));
	(void)json_object_set_new(reply->body, "count",
				  json_integer(sessions + (json_int_t)walk->count));
}

static void kill_of_backend(struct load_balancer *lb, const struct control_request *request,
			    uint16_t id, struct control_reply *reply)
{
	struct walk *walk = walk_new(lb, kill_or_rehearse(request), reply);

	if (!walk)
		return;
	flow_filter_add_id(&walk->filter, id);
	walk_run(walk, reply);
	if (!walk->error)
		kill_sessions(walk, id, reply);
	walk_free(walk);
}

void api_flows(void *ctx, const struct control_request *request, struct control_reply *reply)
{
	run(ctx, request, reply, ACT_LIST);
}

void api_flow_count(void *ctx, const struct control_request *request, struct control_reply *reply)
{
	run(ctx, request, reply, ACT_COUNT);
}

void api_flow_kill(void *ctx, const struct control_request *request, struct control_reply *reply)
{
	run(ctx, request, reply, kill_or_rehearse(request));
}

/*
 * Each flow and each session there is now is ended by itself. The backend's own LB_BACKEND_KILL
 * would refuse its new flows too, and it may be eligible.
 */
void api_backend_kill(void *ctx, const struct control_request *request, struct control_reply *reply)
{
	struct load_balancer *lb = ctx;
	struct pool_entry *entry = entry_find(lb, request->args[0]);
	const struct backend *backend = entry ? pool_find(entry->pool, request->args[1]) : NULL;

	if (!backend) {
		api_not_found(reply, entry ? "backend" : "pool", request->args[entry ? 1 : 0]);
		return;
	}
	kill_of_backend(lb, request, backend->id, reply);
}
