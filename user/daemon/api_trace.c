/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* POST /v1/trace: what would happen to a packet, and why; of requests: api_trace_http.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/api.h"
#include "dataplane/insight.h"

#define TRACE_TTL 64

static const char *const end_texts[] = {
	[TRACE_PASSED] = "passed",
	[TRACE_DROPPED] = "dropped",
	[TRACE_SENT] = "sent",
	[TRACE_ANSWERED] = "answered",
};
static const struct strtable end_names = STRTABLE(end_texts);

static const char *const mode_texts[] = {
	[LB_FORWARD_NAT] = "nat",   [LB_FORWARD_SNAT] = "snat", [LB_FORWARD_DSR] = "dsr",
	[LB_FORWARD_IPIP] = "ipip", [LB_FORWARD_GUE] = "gue",
};
static const struct strtable mode_names = STRTABLE(mode_texts);

static const char *const choice_texts[] = {
	[LB_CHOICE_TABLE_NEXT] = "the next in turn",
	[LB_CHOICE_TABLE_HASH] = "the one that the flow's hash points to",
	[LB_CHOICE_LEAST] = "the lowest score",
	[LB_CHOICE_TWO] = "the lower score of two drawn at random",
	[LB_CHOICE_LATENCY] = "the lower score, by time to answer a SYN, of two drawn at random",
};
static const struct strtable choice_names = STRTABLE(choice_texts);

/* linux/bpf.h: BPF_FIB_LKUP_RET_* */
static const char *const hop_texts[] = {
	"known",
	"the route is a blackhole",
	"there is no route to it",
	"the route prohibits it",
	"it is not forwarded: the address is local or its interface takes no part",
	"forwarding is off on the interface it came in at",
	"the route needs an encapsulation that only the stack can do",
	"its link address is not known",
	"it is larger than the route takes",
	"there is no source address for it",
};
static const struct strtable hop_names = STRTABLE(hop_texts);

/* ---- The question -------------------------------------------------------------------------- */

static bool wrong(struct control_reply *reply, const char *field, const char *value,
		  const char *why)
{
	control_fail(reply, 400, "invalid", field, "'%s': %s", value ? value : "", why);
	return false;
}

static const char *text_of(const json_t *body, const char *key)
{
	return json_string_value(json_object_get(body, key));
}

static bool read_end(const json_t *body, const char *key, struct control_reply *reply,
		     struct addr *ret_addr)
{
	const char *text = text_of(body, key);
	const char *why = "an address with a port such as 10.0.0.2:40000";

	if (text)
		why = addr_parse(slice_of(text), true, ret_addr);
	return !why || wrong(reply, key, text, why);
}

static bool read_flags(const json_t *body, struct control_reply *reply, uint8_t *ret_flags)
{
	static const char *const names[] = {"fin", "syn", "rst", "psh", "ack", "urg"};
	static const struct strtable flags = STRTABLE(names);
	const json_t *list = json_object_get(body, "flags");
	uint8_t found = 0;

	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *name = json_string_value(json_array_get(list, i));
		int bit = name ? strtable_value(&flags, slice_of(name)) : -1;

		if (bit < 0)
			return wrong(reply, "flags", name,
				     "one or more of syn, ack, rst, fin, psh, urg");
		found |= (uint8_t)(1U << bit);
	}
	*ret_flags = list ? found : FRAME_SYN;
	return true;
}

static bool read_protocol(const json_t *body, struct control_reply *reply, struct trace *trace)
{
	const char *protocol = text_of(body, "protocol");

	trace->packet.key.proto =
		protocol && strcmp(protocol, "udp") == 0 ? LB_PROTO_UDP : LB_PROTO_TCP;
	if (protocol && (strcmp(protocol, "udp") == 0 || strcmp(protocol, "tcp") == 0))
		return true;
	return wrong(reply, "protocol", protocol, "tcp, udp or http");
}

static bool read_question(const json_t *body, struct control_reply *reply, struct trace *trace)
{
	const char *ifname = text_of(body, "interface");
	struct addr source = {0};
	struct addr destination = {0};

	if (!read_protocol(body, reply, trace) || !read_end(body, "source", reply, &source) ||
	    !read_end(body, "destination", reply, &destination) ||
	    !read_flags(body, reply, &trace->packet.flags))
		return false;
	if (addr_is_ipv4(&source) != addr_is_ipv4(&destination))
		return wrong(reply, "destination", text_of(body, "destination"),
			     "not of the same IP version as the source");
	memcpy(&trace->packet.key.saddr, source.ip, sizeof(source.ip));
	memcpy(&trace->packet.key.daddr, destination.ip, sizeof(destination.ip));
	trace->packet.key.sport = source.port;
	trace->packet.key.dport = destination.port;
	trace->packet.v6 = !addr_is_ipv4(&source);
	trace->packet.ttl = TRACE_TTL;
	if (ifname)
		(void)snprintf(trace->ifname, sizeof(trace->ifname), "%s", ifname);
	return true;
}

/* ---- The answer ---------------------------------------------------------------------------- */

static const char *address_of(const struct lb_ip *ip, uint16_t port,
			      char text[static ADDR_TEXT_LEN])
{
	struct addr addr = {.port = port};

	memcpy(addr.ip, ip->b, sizeof(addr.ip));
	return addr_format(&addr, text);
}

struct candidates {
	json_t *list;
	const struct trace *trace;
};

static bool has_scores(const struct trace *trace)
{
	return trace->pool.choice >= LB_CHOICE_LEAST;
}

static void add_candidate(void *ctx, const struct trace_candidate *candidate)
{
	struct candidates *all = ctx;
	const struct lb_backend *backend = &candidate->backend;
	bool chosen = all->trace->said.flow.backend == candidate->id;
	char text[ADDR_TEXT_LEN];
	char name[LB_NAME_LEN];
	json_t *json;

	(void)snprintf(name, sizeof(name), "%.*s", LB_NAME_LEN - 1, backend->name);
	json = json_pack("{s:s,s:s,s:i,s:b,s:I,s:I,s:I,s:i,s:b}", "name", name, "address",
			 address_of(&backend->addr, backend->port, text), "weight",
			 (int)backend->weight, "eligible",
			 (int)(backend->flags & LB_BACKEND_ELIGIBLE) != 0, "open",
			 (json_int_t)candidate->open, "pending", (json_int_t)candidate->pending,
			 "latency_us", (json_int_t)candidate->latency_us, "slots",
			 (int)candidate->slots, "chosen", (int)chosen);
	if (has_scores(all->trace))
		(void)json_object_set_new(json, "score",
					  json_real((double)candidate->score / 1000));
	(void)json_array_append_new(all->list, json);
}

static json_t *say_frame(const uint8_t *data, size_t len)
{
	struct buffer text = {0};
	json_t *json;

	frame_say_all(data, len, &text);
	json = json_string(text.failed || !text.ptr ? "?" : text.ptr);
	buffer_fini(&text);
	return json;
}

static json_t *say_packet(const struct trace *trace)
{
	uint8_t frame[FRAME_MADE_MAX];
	size_t len = frame_make(&trace->packet, frame);

	return say_frame(frame, len);
}

/* A known flow has the generation of its record; one that would be made has none. */
static bool has_flow(const struct trace *trace)
{
	return LB_FLOW_GENERATION(trace->said.flow.word) != 0;
}

static void say_flow(const struct trace *trace, json_t *answer)
{
	uint32_t verdict = trace->said.verdict;
	const char *flow = "none";

	if (has_flow(trace))
		flow = "known";
	else if (verdict == LB_V_FORWARDED_NEW ||
		 (verdict == LB_V_TO_STACK && trace->said.flow.backend))
		flow = "new";
	(void)json_object_set_new(answer, "flow", json_string(flow));
	if (!has_flow(trace))
		return;
	(void)json_object_set_new(
		answer, "state", json_string(api_flow_state(LB_FLOW_STATE(trace->said.flow.word))));
	(void)json_object_set_new(answer, "from",
				  json_string(trace->said.from_client ? "client" : "backend"));
}

static void say_service(struct load_balancer *lb, const struct trace *trace, json_t *answer)
{
	const struct pool_entry *entry = NULL;
	const char *name = "";

	if (has_flow(trace))
		name = ids_name(&lb->service_ids, trace->said.flow.service);
	else if (trace->has_service)
		name = ids_name(&lb->service_ids, trace->service.id);
	(void)json_object_set_new(answer, "service", *name ? json_string(name) : json_null());
	if (!trace->has_service)
		return;
	entry = entry_find(lb, trace->pool.name);
	(void)json_object_set_new(answer, "forward",
				  json_string(strtable_name(&mode_names, trace->service.forward)));
	(void)json_object_set_new(answer, "pool", json_string(trace->pool.name));
	(void)json_object_set_new(answer, "algorithm",
				  json_string(entry ? pool_spec(entry->pool)->algorithm : "?"));
	(void)json_object_set_new(
		answer, "takes",
		json_string(strtable_name(&choice_names, (int)trace->pool.choice)));
}

static void say_hop(const struct trace *trace, json_t *answer)
{
	const uint8_t *mac = trace->said.hop.dmac;
	char text[128];

	if (!trace->said.flow.backend)
		return;
	if (trace->said.hop_error || !trace->said.hop.ifindex)
		(void)snprintf(text, sizeof(text), "not known: %s",
			       strtable_name(&hop_names, trace->said.hop_error));
	else
		(void)snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x at %s, mtu %u",
			       mac[0], mac[1], mac[2], mac[3], mac[4], mac[5],
			       *trace->egress ? trace->egress : "?", trace->said.hop.mtu);
	(void)json_object_set_new(answer, "next_hop", json_string(text));
}

static void say_backend(struct load_balancer *lb, const struct trace *trace, json_t *answer)
{
	const struct lb_flow *flow = &trace->said.flow;
	char text[ADDR_TEXT_LEN];
	struct addr backend;
	struct addr vip;

	dataplane_flow_ends(lb->dataplane, flow, &vip, &backend);
	(void)json_object_set_new(answer, "backend",
				  flow->backend ? json_string(addr_format(&backend, text))
						: json_null());
}

static json_t *answer_json(struct load_balancer *lb, const struct trace *trace)
{
	struct candidates candidates = {json_array(), trace};
	json_t *answer =
		json_pack("{s:o,s:s,s:s}", "packet", say_packet(trace), "interface", trace->ifname,
			  "hook", strtable_name(&hook_names, (int)trace->hook));

	say_service(lb, trace, answer);
	say_flow(trace, answer);
	if (!has_flow(trace) && trace->said.verdict != LB_V_NO_FLOW)
		dataplane_candidates(lb->dataplane, trace, add_candidate, &candidates);
	(void)json_object_set_new(answer, "candidates", candidates.list);
	say_backend(lb, trace, answer);
	say_hop(trace, answer);
	(void)json_object_set_new(
		answer, "verdict",
		json_string(strtable_name(&verdict_names, (int)trace->said.verdict)));
	(void)json_object_set_new(answer, "words", json_string(verdict_words(trace->said.verdict)));
	(void)json_object_set_new(answer, "end",
				  json_string(strtable_name(&end_names, (int)trace->end)));
	(void)json_object_set_new(
		answer, "result",
		trace->end == TRACE_DROPPED ? json_null() : say_frame(trace->out, trace->out_len));
	return answer;
}

void api_trace(void *ctx, const struct control_request *request, struct control_reply *reply)
{
	struct load_balancer *lb = ctx;
	struct trace trace = {0};
	struct error err = {0};
	const char *protocol;

	if (!api_needs_object(request, reply))
		return;
	protocol = text_of(request->body, "protocol");
	if (protocol && strcmp(protocol, "http") == 0) {
		api_trace_http(lb, request->body, reply);
		return;
	}
	if (!read_question(request->body, reply, &trace))
		return;
	if (!lb->dataplane)
		control_fail(reply, 409, "no_kernel_path", NULL,
			     "the configuration has no kernel service and no interface");
	else if (dataplane_trace(lb->dataplane, &trace, &err) < 0)
		control_fail(reply, 409, "refused", err.field, "%s", err.message);
	else
		reply->body = answer_json(lb, &trace);
}
