/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* GET /v1/stats: counters alone, for who asks often. */
#include "daemon/api.h"
#include "dataplane/insight.h"
#include "observe/log_writer.h"

static json_t *verdicts_json(struct load_balancer *lb)
{
	struct lb_count counts[LB_VERDICT_COUNT] = {0};
	json_t *json = json_object();

	if (lb->dataplane)
		dataplane_verdicts(lb->dataplane, counts);
	for (int i = 0; i < LB_VERDICT_COUNT; i++)
		(void)json_object_set_new(json, strtable_name(&verdict_names, i),
					  json_pack("{s:I,s:I,s:s}", "packets",
						    (json_int_t)counts[i].packets, "bytes",
						    (json_int_t)counts[i].bytes, "what",
						    verdict_words((uint32_t)i)));
	return json;
}

static json_t *flows_json(struct load_balancer *lb)
{
	const struct lb_meta *meta = lb->dataplane ? dataplane_meta(lb->dataplane) : NULL;

	return json_pack("{s:I,s:I}", "used", meta ? (json_int_t)meta->live_flows : 0, "max",
			 meta ? (json_int_t)meta->max_flows : 0);
}

static json_t *access_log_json(void)
{
	struct log_writer_counts counts;

	log_writer_counts(&counts);
	return json_pack("{s:I,s:I}", "lines", (json_int_t)counts.lines, "dropped",
			 (json_int_t)counts.dropped);
}

/* Of requests that failed, see passive.h. */
static json_t *reports_json(const struct load_balancer *lb)
{
	uint64_t dropped = lb->proxy ? proxy_reports_dropped(lb->proxy) : 0;

	return json_pack("{s:I}", "dropped", (json_int_t)dropped);
}

void api_stats(void *ctx, const struct control_request *request, struct control_reply *reply)
{
	(void)request;
	reply->body = json_pack("{s:o,s:o,s:o,s:o,s:o}", "access_log", access_log_json(), "flows",
				flows_json(ctx), "failure_reports", reports_json(ctx), "services",
				api_services_json(ctx), "verdicts", verdicts_json(ctx));
}
