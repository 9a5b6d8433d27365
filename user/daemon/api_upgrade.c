/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <unistd.h>

#include "base/parse.h"
#include "daemon/api.h"
#include "daemon/generation.h"
#include "daemon/upgrade.h"

static json_t *upgrade_json(struct load_balancer *lb)
{
	struct upgrade_info info;

	upgrade_info(lb, &info);
	return json_pack("{s:i,s:s,s:i,s:s,s:o}", "pid", (int)getpid(), "state", info.state,
			 "started", (int)info.pid, "why", info.why, "draining",
			 generations_json(lb));
}

void api_upgrade_get(void *ctx, const struct control_request *request, struct control_reply *reply)
{
	(void)request;
	reply->body = upgrade_json(ctx);
}

/* -EINVAL: it is there and is none. */
static int read_timeout(const json_t *body, uint32_t *ret_ms)
{
	const json_t *integer = json_object_get(body, "timeout_ms");
	const json_t *text = json_object_get(body, "timeout");
	json_int_t ms = json_integer_value(integer);
	bool good = json_is_integer(integer);
	uint32_t parsed;

	*ret_ms = UPGRADE_TIMEOUT_MS;
	if (!integer && !text)
		return 0;
	if (json_is_string(text)) {
		good = parse_duration_ms(slice_of(json_string_value(text)), &parsed);
		ms = good ? parsed : 0;
	}
	if (!good || ms < UPGRADE_MIN_TIMEOUT_MS || ms > UPGRADE_MAX_TIMEOUT_MS)
		return -EINVAL;
	*ret_ms = (uint32_t)ms;
	return 0;
}

/* Answers when the program was started; GET tells how it goes on. */
void api_upgrade(void *ctx, const struct control_request *request, struct control_reply *reply)
{
	const json_t *program = json_object_get(request->body, "program");
	struct load_balancer *lb = ctx;
	struct error err = {0};
	uint32_t timeout_ms;
	int r;

	if (program && (!json_is_string(program) || json_string_value(program)[0] != '/')) {
		control_fail(reply, 400, "invalid", "program",
			     "the absolute path of a program is needed");
		return;
	}
	if (read_timeout(request->body, &timeout_ms) < 0) {
		control_fail(reply, 400, "invalid", "timeout",
			     "must be a duration from 100ms to 10m, as in \"timeout\": \"20s\"");
		return;
	}
	r = upgrade_start(lb, json_string_value(program), timeout_ms, &err);
	if (r < 0) {
		control_fail(reply, 409, "refused", err.field, "%s", err.message);
		return;
	}
	reply->status = 202;
	reply->body = upgrade_json(lb);
}
