/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The outer source of tunnels is ours towards the backend, so it changes with our addresses and
 * routes. Where it is not known yet no flow may begin: its packets would come from nobody. One that
 * was known stays when the way is lost, as open flows use it.
 */
#include <string.h>

#include "dataplane/sync_parts.h"

static const struct lb_ip unknown;

static bool is_known(const struct lb_ip *source)
{
	return memcmp(source, &unknown, sizeof(unknown)) != 0;
}

void sync_source_of(const struct sync *sync, const struct lb_ip *current, struct lb_backend *body)
{
	body->source = *current;
	if (!is_known(current))
		(void)sync->ops->source(sync->ctx, &body->addr, &body->source);
}

bool sync_source_missing(const struct wanted_backend *wanted, const struct lb_backend *row)
{
	return wanted->tunnel && !is_known(&row->source);
}

void sync_source_note(struct sync *sync, const struct wanted_backend *wanted)
{
	bool tunnels = wanted->tunnel && !wanted->tombstone;

	sync->tunnels[wanted->id] = !tunnels	       ? SYNC_NO_TUNNEL
				    : wanted->eligible ? SYNC_TUNNEL_ELIGIBLE
						       : SYNC_TUNNEL;
}

bool sync_source_allows(struct sync *sync, uint16_t id, bool eligible)
{
	if (sync->tunnels[id] == SYNC_NO_TUNNEL)
		return true;
	sync->tunnels[id] = eligible ? SYNC_TUNNEL_ELIGIBLE : SYNC_TUNNEL;
	return is_known(&sync->view.backends[id].source);
}

/* ---- When addresses or routes have changed ------------------------------------------------- */

static int ask(struct sync *sync, uint16_t id)
{
	const struct lb_backend *row = &sync->view.backends[id];
	struct lb_backend body = *row;
	uint32_t flags = row->flags;
	int rc = sync->ops->source(sync->ctx, &row->addr, &body.source);

	if (rc || !is_known(&body.source))
		return rc;
	if (memcmp(&body.source, &row->source, sizeof(body.source)) != 0)
		rc = sync->ops->backend_body(sync->ctx, id, &body);
	if (sync->tunnels[id] == SYNC_TUNNEL_ELIGIBLE)
		flags |= LB_BACKEND_ELIGIBLE;
	if (rc == 0 && (flags & LB_BACKEND_USED) && flags != row->flags)
		rc = sync->ops->backend_flags(sync->ctx, id, flags);
	return rc;
}

void sync_sources_changed(struct sync *sync)
{
	sync->source_next = 1;
}

int sync_sources_step(struct sync *sync, bool missing_only)
{
	uint32_t first = missing_only ? 1 : sync->source_next;
	uint32_t asked = 0;
	uint32_t id = first;
	int rc = 0;

	for (; first && rc == 0 && id < sync->backends_top && asked < SYNC_SOURCE_STEP; id++) {
		if (sync->tunnels[id] == SYNC_NO_TUNNEL ||
		    (missing_only && is_known(&sync->view.backends[id].source)))
			continue;
		asked++;
		rc = ask(sync, (uint16_t)id);
	}
	if (!missing_only)
		sync->source_next = id < sync->backends_top ? id : 0;
	return rc;
}
