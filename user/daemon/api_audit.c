/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* POST /v1/audit: are the counts of open connections those of the flow table? */
#include <stdlib.h>
#include <string.h>

#include "daemon/api.h"
#include "daemon/audit.h"
#include "daemon/project_service.h"

static void walk(void *ctx, bool (*each)(void *, uint32_t, const struct lb_flow *), void *each_ctx)
{
	struct load_balancer *lb = ctx;

	dataplane_each_flow(lb->dataplane, 0, each, each_ctx);
}

/* Whose replies do not come back through here: that a connection ended is seen from one side. */
static bool pool_is_one_way(const struct load_balancer *lb, const char *pool)
{
	for (uint32_t i = 0; i < lb->config->n_services; i++) {
		const struct service_spec *service = &lb->config->services[i];

		if (project_in_kernel(service) && service->forward >= FORWARD_DSR &&
		    strcmp(service->routes[0].pool, pool) == 0)
			return true;
	}
	return false;
}

static json_t *row_json(const struct load_balancer *lb, const struct audit_row *row,
			const char *pool, const char *name, const struct addr *addr)
{
	char text[ADDR_TEXT_LEN];

	return json_pack("{s:s,s:s,s:s,s:I,s:I,s:I,s:b,s:b}", "pool", pool, "name", name, "address",
			 addr_format(addr, text), "counted", (json_int_t)row->counted, "open",
			 (json_int_t)row->open, "drift", (json_int_t)audit_drift(row), "settled",
			 (int)row->settled, "estimate", (int)pool_is_one_way(lb, pool));
}

/* Adds a backend, and takes its row out of what is left. */
static void add(json_t *list, struct audit *audit, uint16_t id, json_t *row)
{
	(void)json_array_append_new(list, row);
	audit->rows[id] = (struct audit_row){.settled = true};
}

static void add_known(struct load_balancer *lb, struct audit *audit, json_t *list)
{
	list_for_each (node, &lb->pools) {
		struct pool *pool = entry_of(node)->pool;

		list_for_each (member, pool_all(pool)) {
			const struct backend *backend = backend_of(member);

			add(list, audit, backend->id,
			    row_json(lb, &audit->rows[backend->id], pool_spec(pool)->name,
				     backend->spec.name, &backend->spec.addr));
		}
	}
	list_for_each (node, &lb->tombstones) {
		const struct tombstone *tombstone = container_of(node, struct tombstone, node);

		add(list, audit, tombstone->id,
		    row_json(lb, &audit->rows[tombstone->id],
			     ids_name(&lb->pool_ids, tombstone->pool), tombstone->name,
			     &tombstone->addr));
	}
}

/* Nobody should be left: a count that belongs to no backend is drift too. */
static void add_unknown(struct load_balancer *lb, struct audit *audit, json_t *list)
{
	for (uint32_t id = 1; id < LB_MAX_BACKENDS; id++) {
		const struct audit_row *row = &audit->rows[id];
		const char *pool = "";
		struct addr addr = {0};

		if (row->open == 0 && row->counted == 0)
			continue;
		(void)registry_identity(lb->registry, (uint16_t)id, &pool, &addr);
		(void)json_array_append_new(list, row_json(lb, row, pool, "", &addr));
	}
}

static json_t *audit_json(struct load_balancer *lb, struct audit *audit)
{
	json_t *list = json_array();
	json_int_t drift = 0;
	bool settled = true;

	add_known(lb, audit, list);
	add_unknown(lb, audit, list);
	for (size_t i = 0; i < json_array_size(list); i++) {
		json_t *row = json_array_get(list, i);

		drift += llabs(json_integer_value(json_object_get(row, "drift")));
		settled = settled && json_is_true(json_object_get(row, "settled"));
	}
	return json_pack("{s:I,s:I,s:b,s:o}", "flows", (json_int_t)audit->flows, "drift", drift,
			 "settled", (int)settled, "backends", list);
}

void api_audit(void *ctx, const struct control_request *request, struct control_reply *reply)
{
	struct load_balancer *lb = ctx;
	struct audit *audit;

	(void)request;
	if (!lb->dataplane) {
		control_fail(reply, 409, "refused", NULL,
			     "this lbd runs no kernel path: there are no flows to count");
		return;
	}
	audit = calloc(1, sizeof(*audit));
	if (!audit) {
		control_fail(reply, 500, "out_of_memory", NULL, "out of memory");
		return;
	}
	audit_run(audit, dataplane_rows(lb->dataplane), walk, lb);
	reply->body = audit_json(lb, audit);
	free(audit);
}
