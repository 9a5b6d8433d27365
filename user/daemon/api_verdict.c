/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* GET /v1/verdicts[/NAME]: what packets got, and the last one that got it. */
#include <net/if.h>
#include <stdlib.h>

#include "base/clock.h"
#include "daemon/api.h"
#include "dataplane/insight.h"

#define NS_PER_MS 1000000

/* What to look at when a verdict is not what was expected. */
static const char *const advice[LB_VERDICT_COUNT] = {
	[LB_V_NOT_OURS] = "'lbadm service list' shows the addresses that are balanced",
	[LB_V_TO_STACK] = "'lbadm doctor' shows next hops that are not resolved",
	[LB_V_NO_BACKEND] = "'lbadm backend list' shows who is not eligible, 'lbadm backend why' "
			    "says why",
	[LB_V_NO_FLOW] = "a connection older than its flow, or of another balancer; flows end by "
			 "timeout, 'lbadm flow list' shows those there are",
	[LB_V_FLOW_KILLED] = "somebody ran 'lbadm flow kill' or 'lbadm backend kill'",
	[LB_V_NAT_COLLISION] = "two services share backends, and a client used one port for both; "
			       "forward snat has no such limit",
	[LB_V_TABLE_FULL] = "raise 'limits: flows' after 'lbd --teardown', or look with 'lbadm "
			    "flow list' who holds them",
	[LB_V_TOO_BIG] = "the sender was told the size that fits; if it goes on, it does not get "
			 "or obey ICMP",
	[LB_V_RATE_LIMITED] = "something sends many packets that are refused: 'lbadm status' shows "
			      "which verdict grows with it",
	[LB_V_FRAG_UNKNOWN] = "fragments came in another order, or by another way, than the first",
	[LB_V_SNAT_EXHAUSTED] = "give the service more snat-addresses",
	[LB_V_NO_NEIGHBOUR] = "'lbadm doctor' shows which backend does not answer ARP",
	[LB_V_DENIED] = "the service's 'allow' and 'deny' say so",
	[LB_V_SOURCE_RATE] = "the service's 'rate' says so",
};

static json_t *say_packet(const struct lb_head *head)
{
	struct buffer text = {0};
	json_t *json;

	frame_say_all(head->data, head->kept, &text);
	json = json_string(text.failed || !text.ptr ? "?" : text.ptr);
	buffer_fini(&text);
	return json;
}

static json_t *say_hex(const struct lb_head *head)
{
	struct buffer text = {0};
	json_t *json;

	for (uint32_t i = 0; i < head->kept && i < LB_HEAD_LEN; i++)
		buffer_print(&text, "%02x", head->data[i]);
	json = json_string(text.failed || !text.ptr ? "" : text.ptr);
	buffer_fini(&text);
	return json;
}

static json_t *head_json(const struct lb_head *head)
{
	uint64_t now = clock_ns();
	uint64_t age_ms = now > head->at ? (now - head->at) / NS_PER_MS : 0;
	char name[IF_NAMESIZE] = "?";

	(void)if_indextoname(head->ifindex, name);
	return json_pack("{s:I,s:I,s:s,s:i,s:i,s:o,s:o}", "time",
			 (json_int_t)(clock_wall_ms() - age_ms), "age_ms", (json_int_t)age_ms,
			 "interface", name, "bytes", head->bytes, "kept", head->kept, "packet",
			 say_packet(head), "hex", say_hex(head));
}

static json_t *verdict_json(uint32_t verdict, const struct lb_count *count)
{
	return json_pack("{s:s,s:s,s:I,s:I,s:b}", "name",
			 strtable_name(&verdict_names, (int)verdict), "words",
			 verdict_words(verdict), "packets", (json_int_t)count->packets, "bytes",
			 (json_int_t)count->bytes, "keeps_head", (int)verdict_is_told(verdict));
}

static void read_counts(struct load_balancer *lb, struct lb_count counts[static LB_VERDICT_COUNT])
{
	memset(counts, 0, LB_VERDICT_COUNT * sizeof(*counts));
	if (lb->dataplane)
		dataplane_verdicts(lb->dataplane, counts);
}

void api_verdicts(void *ctx, const struct control_request *request, struct control_reply *reply)
{
	struct lb_count counts[LB_VERDICT_COUNT];
	json_t *list = json_array();

	(void)request;
	read_counts(ctx, counts);
	for (uint32_t i = 0; i < LB_VERDICT_COUNT; i++)
		(void)json_array_append_new(list, verdict_json(i, &counts[i]));
	reply->body = json_pack("{s:o}", "verdicts", list);
}

static void unknown(const char *name, struct control_reply *reply)
{
	const char *near =
		strtable_nearest(verdict_names.names, verdict_names.count, slice_of(name));

	control_fail(reply, 404, "not_found", "verdict", "there is no verdict '%s'%s%s%s", name,
		     near ? "; did you mean '" : "; 'lbadm why' lists them", near ? near : "",
		     near ? "'?" : "");
}

void api_verdict_get(void *ctx, const struct control_request *request, struct control_reply *reply)
{
	struct lb_count counts[LB_VERDICT_COUNT];
	struct load_balancer *lb = ctx;
	struct lb_head head;
	int verdict = strtable_value(&verdict_names, slice_of(request->args[0]));

	if (verdict < 0) {
		unknown(request->args[0], reply);
		return;
	}
	read_counts(lb, counts);
	reply->body = verdict_json((uint32_t)verdict, &counts[verdict]);
	if (advice[verdict])
		(void)json_object_set_new(reply->body, "advice", json_string(advice[verdict]));
	if (lb->dataplane && dataplane_head(lb->dataplane, (uint32_t)verdict, &head) == 0)
		(void)json_object_set_new(reply->body, "last", head_json(&head));
	else
		(void)json_object_set_new(reply->body, "last", json_null());
}
