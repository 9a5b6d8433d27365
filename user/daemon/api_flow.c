/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/parse.h"
#include "daemon/api.h"

#define FLOWS_DEFAULT 1000
#define FLOWS_MAX     100000

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

/* Which flows are meant, and where they go. */
struct walk {
	struct load_balancer *lb;
	const char *service; /* NULL: any */
	const char *backend; /* a name or an address */
	bool has_client;
	struct addr client; /* port 0: any */
	uint64_t limit;
	uint64_t count;
	json_t *list;					 /* NULL: only count */
	const struct backend *backends[LB_MAX_BACKENDS]; /* by id */
};

static struct addr addr_of(const struct lb_ip *ip, __be16 port)
{
	struct addr addr = {.port = port};

	memcpy(addr.ip, ip->b, sizeof(addr.ip));
	return addr;
}

static bool backend_matches(const struct walk *walk, const struct lb_flow *flow,
			    const char *address)
{
	const struct backend *backend = walk->backends[flow->backend];

	return strcmp(address, walk->backend) == 0 ||
	       (backend && strcmp(backend->spec.name, walk->backend) == 0);
}

static bool client_matches(const struct walk *walk, const struct addr *client)
{
	if (memcmp(walk->client.ip, client->ip, sizeof(client->ip)) != 0)
		return false;
	return walk->client.port == 0 || walk->client.port == client->port;
}

static bool matches(const struct walk *walk, const struct lb_flow *flow, const char *backend)
{
	struct addr client = addr_of(&flow->client, flow->client_port);

	if (walk->service &&
	    strcmp(ids_name(&walk->lb->service_ids, flow->service), walk->service) != 0)
		return false;
	if (walk->backend && !backend_matches(walk, flow, backend))
		return false;
	return !walk->has_client || client_matches(walk, &client);
}

static json_t *flow_json(const struct walk *walk, const struct lb_flow *flow, const char *backend)
{
	struct addr client = addr_of(&flow->client, flow->client_port);
	struct addr vip = addr_of(&flow->vip, flow->vip_port);
	const struct backend *known = walk->backends[flow->backend];
	const struct backend_check *check = known ? known->user : NULL;
	char client_text[ADDR_TEXT_LEN];
	char vip_text[ADDR_TEXT_LEN];

	return json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:I,s:b}", "service",
			 ids_name(&walk->lb->service_ids, flow->service), "client",
			 addr_format(&client, client_text), "vip", addr_format(&vip, vip_text),
			 "backend", backend, "pool",
			 check ? pool_spec(check->entry->pool)->name : "", "protocol",
			 flow->proto == LB_PROTO_UDP ? "udp" : "tcp", "state",
			 strtable_name(&state_names, (int)LB_FLOW_STATE(flow->word)), "idle_ms",
			 (json_int_t)dataplane_idle_ms(walk->lb->dataplane, flow), "counted",
			 (flow->word & LB_FLOW_COUNTED) != 0);
}

static bool visit(void *ctx, uint32_t record, const struct lb_flow *flow)
{
	struct walk *walk = ctx;
	struct addr backend = addr_of(&flow->backend_addr, flow->backend_port);
	char text[ADDR_TEXT_LEN];

	(void)record;
	addr_format(&backend, text);
	if (!matches(walk, flow, text))
		return true;
	if (walk->list)
		(void)json_array_append_new(walk->list, flow_json(walk, flow, text));
	return ++walk->count < walk->limit;
}

static bool read_filters(const struct control_request *request, struct control_reply *reply,
			 struct walk *walk)
{
	const char *client = control_param(request, "client");
	const char *limit = control_param(request, "limit");
	const char *why = client ? addr_parse(slice_of(client), false, &walk->client) : NULL;

	walk->service = control_param(request, "service");
	walk->backend = control_param(request, "backend");
	walk->has_client = client != NULL;
	walk->limit = FLOWS_DEFAULT;
	if (why) {
		control_fail(reply, 400, "invalid", "client", "'%s': %s", client, why);
		return false;
	}
	if (limit && (!parse_u64(slice_of(limit), &walk->limit) || walk->limit == 0 ||
		      walk->limit > FLOWS_MAX)) {
		control_fail(reply, 400, "invalid", "limit", "'%s': a number from 1 to %d", limit,
			     FLOWS_MAX);
		return false;
	}
	return true;
}

static void index_backends(struct walk *walk)
{
	list_for_each (node, &walk->lb->pools) {
		list_for_each (member, pool_all(entry_of(node)->pool))
			walk->backends[backend_of(member)->id] = backend_of(member);
	}
}

static void run(struct load_balancer *lb, const struct control_request *request,
		struct control_reply *reply, bool listed)
{
	struct walk *walk = calloc(1, sizeof(*walk));

	if (!walk) {
		control_fail(reply, 500, "out_of_memory", NULL, "out of memory");
		return;
	}
	walk->lb = lb;
	if (read_filters(request, reply, walk)) {
		index_backends(walk);
		walk->list = listed ? json_array() : NULL;
		if (!listed)
			walk->limit = UINT64_MAX;
		if (lb->dataplane)
			dataplane_each_flow(lb->dataplane, visit, walk);
		reply->body = listed ? json_pack("{s:o}", "flows", walk->list)
				     : json_pack("{s:I}", "count", (json_int_t)walk->count);
	}
	free(walk);
}

void api_flows(void *ctx, const struct control_request *request, struct control_reply *reply)
{
	run(ctx, request, reply, true);
}

void api_flow_count(void *ctx, const struct control_request *request, struct control_reply *reply)
{
	run(ctx, request, reply, false);
}
