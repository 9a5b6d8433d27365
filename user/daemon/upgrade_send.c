/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "daemon/upgrade_send.h"

#include <unistd.h>

#include "daemon/entry.h"
#include "daemon/generation.h"
#include "daemon/handover.h"

#define PART_BYTES (PASSING_MAX_BYTES / 2)

/* A list that is sent in parts. */
struct sending {
	int channel;
	const char *type;
	json_t *list;
	size_t bytes; /* of <list> */
	int r;
};

static void flush(struct sending *sending)
{
	if (sending->r == 0 && json_array_size(sending->list) > 0)
		sending->r = handover_send(
			sending->channel,
			json_pack("{s:s,s:O}", "type", sending->type, "backends", sending->list),
			NULL, 0);
	(void)json_array_clear(sending->list);
	sending->bytes = 0;
}

/* The size is counted, as backends to which much has happened take many times what others do. */
static void add(struct sending *sending, json_t *entry)
{
	size_t bytes = json_dumpb(entry, NULL, 0, JSON_COMPACT) + 1;

	if (sending->bytes + bytes > PART_BYTES)
		flush(sending);
	sending->bytes += bytes;
	(void)json_array_append_new(sending->list, entry);
}

static int finish(struct sending *sending)
{
	flush(sending);
	json_decref(sending->list);
	return sending->r;
}

/* ---- Sockets ------------------------------------------------------------------------------- */

static void send_listener(void *ctx, const struct addr *addr, const int *fds, unsigned n)
{
	struct sending *sending = ctx;
	char text[ADDR_TEXT_LEN];

	if (sending->r == 0)
		sending->r = handover_send(sending->channel,
					   json_pack("{s:s,s:s}", "type", "listener", "address",
						     addr_format(addr, text)),
					   fds, n);
}

static int send_one(int channel, const char *type, int fd)
{
	return handover_send(channel, json_pack("{s:s}", "type", type), &fd, 1);
}

/* Those of the kernel path are in its maps. */
static int send_ids(struct load_balancer *lb, int channel)
{
	struct sending sending = {.channel = channel, .type = "ids", .list = json_array()};
	char text[ADDR_TEXT_LEN];
	const char *pool;
	struct addr addr;

	for (uint32_t id = 1; id < LB_MAX_BACKENDS; id++)
		if (registry_identity(lb->registry, (uint16_t)id, &pool, &addr))
			add(&sending, json_pack("{s:i,s:s,s:s}", "id", (int)id, "pool", pool,
						"address", addr_format(&addr, text)));
	return finish(&sending);
}

int upgrade_send_sockets(struct load_balancer *lb, int channel)
{
	struct sending sending = {.channel = channel};
	int r;

	if (lb->proxy)
		proxy_each_socket(lb->proxy, send_listener, &sending);
	r = sending.r;
	if (r == 0 && lb->control)
		r = send_one(channel, "api", control_fd(lb->control));
	if (r == 0 && lb->dataplane)
		r = send_one(channel, "lock", dataplane_lock_fd(lb->dataplane));
	if (r == 0 && lb->rows_fd >= 0)
		r = send_one(channel, "rows", lb->rows_fd);
	if (r == 0 && lb->rows_fd >= 0)
		r = send_ids(lb, channel);
	if (r == 0)
		r = generations_send(lb, channel);
	if (r == 0)
		r = handover_send(channel,
				  json_pack("{s:s,s:i,s:I}", "type", "prepare", "pid",
					    (int)getpid(), "last_session",
					    (json_int_t)(lb->last_session + SESSIONS_OF_ONE)),
				  NULL, 0);
	return r;
}

/* ---- State --------------------------------------------------------------------------------- */

static json_t *history_json(const struct backend *backend)
{
	uint32_t first =
		backend->n_history > BACKEND_HISTORY ? backend->n_history - BACKEND_HISTORY : 0;
	json_t *list = json_array();

	for (uint32_t i = first; i < backend->n_history; i++) {
		const struct health_change *change = &backend->history[i % BACKEND_HISTORY];

		(void)json_array_append_new(list,
					    json_pack("[I,i,i,s]", (json_int_t)change->at_wall_ms,
						      (int)change->from, (int)change->to,
						      change->reason ? change->reason : ""));
	}
	return list;
}

static json_t *health_json(struct pool_entry *entry, const struct backend *backend)
{
	const struct backend_check *check = backend->user;
	char text[ADDR_TEXT_LEN];

	return json_pack("{s:s,s:s,s:s,s:i,s:s,s:I,s:I,s:i,s:I,s:I,s:o}", "pool",
			 pool_spec(entry->pool)->name, "name", backend->spec.name, "address",
			 addr_format(&backend->spec.addr, text), "health", (int)backend->health,
			 "reason", backend->health_reason ? backend->health_reason : "", "changed",
			 (json_int_t)backend->changed_wall_ms, "eligible_since",
			 (json_int_t)backend->eligible_since_wall_ms, "last_reason",
			 (int)check->last.reason, "probed", (json_int_t)check->last.probed_wall_ms,
			 "good", (json_int_t)check->last.good_wall_ms, "history",
			 history_json(backend));
}

static int send_health(struct load_balancer *lb, int channel)
{
	struct sending sending = {.channel = channel, .type = "health", .list = json_array()};

	list_for_each (node, &lb->pools) {
		struct pool_entry *entry = entry_of(node);

		list_for_each (at, pool_all(entry->pool))
			add(&sending, health_json(entry, backend_of(at)));
	}
	return finish(&sending);
}

int upgrade_send_state(struct load_balancer *lb, int channel)
{
	int r = send_health(lb, channel);

	if (r == 0)
		r = handover_send_counts(channel, "past", json_deep_copy(lb->past));
	if (r == 0)
		r = handover_send_counts(channel, "old", handover_counts(lb));
	if (r == 0)
		r = handover_send(channel, json_pack("{s:s}", "type", "go"), NULL, 0);
	return r;
}
