/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* GET /v1/events: what happens, as it happens. */
#include "base/parse.h"
#include "daemon/api.h"

/* From Last-Event-ID on, or ?after=N (0: all that are kept); without either from now on. */
void api_events(void *ctx, const struct control_request *request, struct control_reply *reply)
{
	const struct load_balancer *lb = ctx;
	const char *after = control_param(request, "after");
	uint64_t cursor = lb->events.next ? lb->events.next - 1 : 0;

	if (after && !parse_u64(slice_of(after), &cursor)) {
		control_fail(reply, 400, "invalid", "after", "'%s': the number of an event", after);
		return;
	}
	if (request->has_last_event)
		cursor = request->last_event;
	reply->feed = events_feed;
	reply->cursor = cursor;
}
