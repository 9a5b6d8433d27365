/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "daemon/on_down.h"

#include <string.h>

#include "daemon/generation.h"
#include "daemon/refresh.h"
#include "proxy/session.h"
#include "proxy/worker.h"

struct fall {
	struct load_balancer *lb;
	uint8_t ids[LB_MAX_BACKENDS / 8];
	uint32_t n_backends;
	uint64_t flows, sessions;
	int error;
};

void on_down_note(struct backend_check *check)
{
	struct load_balancer *lb = check->entry->lb;

	check->fell = true;
	lb->fallen = true;
	refresh_soon(lb);
}

/* It may have come up meanwhile, or be used although it is down (when-all-down: all). */
static void collect(struct fall *fall, struct pool_entry *entry)
{
	bool reset = pool_spec(entry->pool)->on_down == ON_DOWN_RESET;

	list_for_each (node, pool_all(entry->pool)) {
		struct backend *backend = backend_of(node);
		struct backend_check *check = backend->user;

		if (!check || !check->fell)
			continue;
		check->fell = false;
		if (!reset || backend->health != HEALTH_DOWN ||
		    backend_eligible(entry->pool, backend))
			continue;
		fall->ids[backend->id / 8] |= (uint8_t)(1U << backend->id % 8);
		fall->n_backends++;
	}
}

static bool has(const struct fall *fall, uint16_t id)
{
	return id > 0 && fall->ids[id / 8] & 1U << id % 8;
}

static bool end_flow(void *ctx, uint32_t record, const struct lb_flow *flow)
{
	struct fall *fall = ctx;

	if (!has(fall, flow->backend) || flow->word & LB_FLOW_KILLED)
		return true;
	fall->error = dataplane_kill_flow(fall->lb->dataplane, record, flow);
	if (fall->error == 0)
		fall->flows++;
	return fall->error == 0;
}

/* On the threads of the workers, while the control thread waits. */
static void end_sessions(struct worker *worker, void *ctx)
{
	struct fall *fall = ctx;

	list_for_each_safe (node, &worker->sessions) {
		struct session *session = container_of(node, struct session, node);
		struct session_info info;

		session->ops->describe(session, &info);
		if (!has(fall, info.backend_id))
			continue;
		fall->sessions++;
		session->ops->backend_down(session);
	}
}

static json_t *ids_json(const struct fall *fall)
{
	json_t *list = json_array();

	for (uint32_t id = 1; id < LB_MAX_BACKENDS; id++)
		if (has(fall, (uint16_t)id))
			(void)json_array_append_new(list, json_integer(id));
	return list;
}

static void end_all(struct fall *fall)
{
	struct load_balancer *lb = fall->lb;

	if (lb->dataplane) {
		dataplane_each_flow(lb->dataplane, 0, end_flow, fall);
		if (fall->error == 0)
			fall->error = dataplane_kill_finish(lb->dataplane);
	}
	if (lb->proxy)
		proxy_visit(lb->proxy, end_sessions, fall);
	if (!list_empty(&lb->generations))
		generations_tell(
			lb, json_pack("{s:s,s:o}", "type", "down", "backends", ids_json(fall)));
	if (fall->error)
		log_error("cannot end the flows of backends that are down: %s",
			  strerror(-fall->error));
	log_info("on-down: reset ended %llu flows and %llu sessions of %u backends",
		 (unsigned long long)fall->flows, (unsigned long long)fall->sessions,
		 fall->n_backends);
}

void on_down_run(struct load_balancer *lb)
{
	struct fall fall = {.lb = lb};

	if (!lb->fallen)
		return;
	lb->fallen = false;
	list_for_each (node, &lb->pools)
		collect(&fall, entry_of(node));
	if (fall.n_backends > 0)
		end_all(&fall);
}

void on_down_told(struct load_balancer *lb, const json_t *backends)
{
	struct fall fall = {.lb = lb};
	json_t *id;
	size_t i;

	json_array_foreach (backends, i, id) {
		json_int_t n = json_integer_value(id);

		if (n > 0 && n < LB_MAX_BACKENDS)
			fall.ids[n / 8] |= (uint8_t)(1U << n % 8);
	}
	if (lb->proxy)
		proxy_visit(lb->proxy, end_sessions, &fall);
	log_info("on-down: reset ended %llu sessions", (unsigned long long)fall.sessions);
}
