/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "dataplane/sync_parts.h"

#define PRESENT (LB_BACKEND_USED | LB_BACKEND_TOMBSTONE)

static const struct lb_backend *row(const struct sync *sync, uint16_t id)
{
	return &sync->view.backends[id];
}

static bool may_be_eligible(const struct wanted_backend *wanted, const struct lb_backend *there)
{
	return wanted->eligible && !wanted->tombstone && !sync_source_missing(wanted, there);
}

static uint32_t wanted_flags(const struct wanted_backend *wanted, const struct lb_backend *body)
{
	if (wanted->tombstone)
		return LB_BACKEND_TOMBSTONE;
	return LB_BACKEND_USED | (may_be_eligible(wanted, body) ? LB_BACKEND_ELIGIBLE : 0);
}

/* The row is this backend, perhaps with another weight or name, and not another one's. */
static bool same_identity(const struct lb_backend *current, const struct lb_backend *body)
{
	return (current->flags & PRESENT) && current->pool == body->pool &&
	       current->port == body->port && current->zone == body->zone &&
	       memcmp(&current->addr, &body->addr, sizeof(body->addr)) == 0;
}

static void body_of(const struct sync *sync, const struct wanted_backend *wanted,
		    struct lb_backend *ret_body)
{
	static const struct lb_ip unknown;
	const struct lb_backend *current = row(sync, wanted->id);
	struct lb_backend body = {
		.port = wanted->addr.port,
		.pool = wanted->pool,
		.weight = wanted->weight,
	};

	memcpy(body.addr.b, wanted->addr.ip, sizeof(body.addr.b));
	memcpy(body.name, wanted->name, sizeof(body.name) - 1);
	if (wanted->tombstone)
		body.removed_at = current->removed_at ? current->removed_at : clock_ns();
	/* Packets of its flows still need it. */
	if (wanted->tombstone)
		body.source = current->source;
	else if (wanted->tunnel)
		sync_source_of(sync, same_identity(current, &body) ? &current->source : &unknown,
			       &body);
	*ret_body = body;
}

static bool same_body(const struct lb_backend *current, const struct lb_backend *body)
{
	struct lb_backend copy = *current;

	copy.flags = body->flags;
	copy.hop = body->hop;
	return memcmp(&copy, body, sizeof(copy)) == 0;
}

int sync_backends_load(struct sync *sync)
{
	sync->backends_top = 0;
	for (uint32_t id = 1; id < LB_MAX_BACKENDS; id++) {
		if (row(sync, (uint16_t)id)->flags)
			sync->backends_top = id + 1;
	}
	return 0;
}

static int set_flags(struct sync *sync, uint16_t id, uint32_t flags)
{
	if (row(sync, id)->flags == flags)
		return 0;
	if (id >= sync->backends_top)
		sync->backends_top = id + 1U;
	return sync->ops->backend_flags(sync->ctx, id, flags);
}

/* One bit per id. */
static uint8_t *listed(const struct wanted *wanted)
{
	uint8_t *bits = calloc(LB_MAX_BACKENDS / 8, 1);

	for (uint32_t i = 0; bits && i < wanted->n_backends; i++)
		bits[wanted->backends[i].id / 8] |= (uint8_t)(1U << wanted->backends[i].id % 8);
	return bits;
}

static int each_unlisted(struct sync *sync, const struct wanted *wanted,
			 int (*each)(struct sync *sync, uint16_t id))
{
	uint8_t *bits = listed(wanted);
	int rc = bits ? 0 : -ENOMEM;

	for (uint32_t id = 1; rc == 0 && id < sync->backends_top; id++) {
		if (row(sync, (uint16_t)id)->flags && !(bits[id / 8] & (1U << id % 8)))
			rc = each(sync, (uint16_t)id);
	}
	free(bits);
	return rc;
}

static int make_ineligible(struct sync *sync, uint16_t id)
{
	return set_flags(sync, id, row(sync, id)->flags & ~LB_BACKEND_ELIGIBLE);
}

int sync_backends_flags(struct sync *sync, const struct wanted *wanted)
{
	for (uint32_t i = 0; i < wanted->n_backends; i++) {
		const struct wanted_backend *backend = &wanted->backends[i];
		const struct lb_backend *current = row(sync, backend->id);
		uint32_t flags = current->flags & ~LB_BACKEND_ELIGIBLE;
		struct lb_backend body;
		int rc;

		body_of(sync, backend, &body);
		if (!same_identity(current, &body))
			continue;
		if (may_be_eligible(backend, current) && (flags & LB_BACKEND_USED))
			flags |= LB_BACKEND_ELIGIBLE;
		rc = set_flags(sync, backend->id, flags);
		if (rc)
			return rc;
	}
	return each_unlisted(sync, wanted, make_ineligible);
}

/* A row that was another's is out of use while it is rewritten. */
static int replace(struct sync *sync, uint16_t id, const struct lb_backend *body)
{
	int rc = set_flags(sync, id, 0);

	if (rc == 0)
		rc = sync->ops->backend_clear_stats(sync->ctx, id);
	if (rc == 0)
		rc = sync->ops->backend_body(sync->ctx, id, body);
	return rc;
}

static int write_one(struct sync *sync, const struct wanted_backend *wanted)
{
	const struct lb_backend *current = row(sync, wanted->id);
	struct lb_backend body;
	uint32_t flags;
	int rc = 0;

	body_of(sync, wanted, &body);
	flags = wanted_flags(wanted, &body);
	if (!same_identity(current, &body))
		rc = replace(sync, wanted->id, &body);
	else if (wanted->tombstone && !(current->flags & LB_BACKEND_TOMBSTONE))
		return 0; /* it becomes one when no table names it any more */
	else if (!same_body(current, &body))
		rc = sync->ops->backend_body(sync->ctx, wanted->id, &body);
	flags |= current->flags & LB_BACKEND_KILL;
	return rc ? rc : set_flags(sync, wanted->id, flags);
}

int sync_backends_write(struct sync *sync, const struct wanted *wanted)
{
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < wanted->n_backends; i++) {
		rc = write_one(sync, &wanted->backends[i]);
		sync_source_note(sync, &wanted->backends[i]);
	}
	return rc;
}

/* The body stays for people who look; without flags it is nobody. */
static int forget(struct sync *sync, uint16_t id)
{
	sync->tunnels[id] = SYNC_NO_TUNNEL;
	return set_flags(sync, id, 0);
}

static int bury(struct sync *sync, const struct wanted_backend *wanted)
{
	const struct lb_backend *current = row(sync, wanted->id);
	struct lb_backend body;
	int rc;

	if (current->flags & LB_BACKEND_TOMBSTONE)
		return 0;
	body_of(sync, wanted, &body);
	rc = sync->ops->backend_body(sync->ctx, wanted->id, &body);
	if (rc)
		return rc;
	return set_flags(sync, wanted->id,
			 LB_BACKEND_TOMBSTONE | (current->flags & LB_BACKEND_KILL));
}

int sync_backends_remove(struct sync *sync, const struct wanted *wanted)
{
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < wanted->n_backends; i++) {
		if (wanted->backends[i].tombstone)
			rc = bury(sync, &wanted->backends[i]);
	}
	return rc ? rc : each_unlisted(sync, wanted, forget);
}
