/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* GET /v1/doctor: what on this machine keeps the kernel path from working well. */
#include <sys/utsname.h>

#include "daemon/api.h"
#include "dataplane/doctor.h"

struct findings {
	json_t *list;
	int problems;
};

static void add(void *ctx, const struct finding *finding)
{
	struct findings *all = ctx;
	bool problem = finding->level == FINDING_PROBLEM;

	all->problems += problem;
	(void)json_array_append_new(all->list,
				    json_pack("{s:s,s:s,s:s,s:s,s:s,s:s}", "level",
					      problem ? "problem" : "note", "code", finding->code,
					      "object", finding->object, "what", finding->what,
					      "why", finding->why, "fix", finding->fix));
}

void api_doctor(void *ctx, const struct control_request *request, struct control_reply *reply)
{
	struct findings all = {.list = json_array()};
	struct load_balancer *lb = ctx;
	struct utsname name = {0};

	(void)request;
	(void)uname(&name);
	if (lb->dataplane)
		dataplane_doctor(lb->dataplane, add, &all);
	reply->body = json_pack("{s:s,s:b,s:o,s:i,s:o}", "kernel", name.release, "kernel_path",
				lb->dataplane != NULL, "interfaces", api_interfaces_json(lb),
				"problems", all.problems, "findings", all.list);
}
