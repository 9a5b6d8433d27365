/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "daemon/entry.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "config/equal.h"
#include "daemon/apply.h"
#include "daemon/inherit.h"
#include "daemon/on_down.h"
#include "daemon/project.h"
#include "daemon/refresh.h"
#include "daemon/slow_start.h"

static const enum backend_health health_of_status[] = {
	[HEALTH_IS_UNKNOWN] = HEALTH_UNKNOWN,
	[HEALTH_IS_UP] = HEALTH_UP,
	[HEALTH_IS_DOWN] = HEALTH_DOWN,
};

static enum health_status status_of(const struct backend *backend)
{
	switch (backend->health) {
	case HEALTH_UP:
		return HEALTH_IS_UP;
	case HEALTH_DOWN:
		return HEALTH_IS_DOWN;
	case HEALTH_UNKNOWN:
		break;
	}
	return HEALTH_IS_UNKNOWN;
}

struct pool_entry *entry_of(struct list *node)
{
	return container_of(node, struct pool_entry, node);
}

struct pool_entry *entry_find(struct load_balancer *lb, const char *name)
{
	list_for_each (node, &lb->pools) {
		if (strcmp(pool_spec(entry_of(node)->pool)->name, name) == 0)
			return entry_of(node);
	}
	return NULL;
}

void shared_balancer_put(struct shared_balancer *shared)
{
	if (!shared || --shared->refs > 0)
		return;
	balancer_free(shared->balancer);
	view_put(shared->draining);
	free(shared);
}

/* ---- Checks -------------------------------------------------------------------------------- */

void entry_mark(struct backend_check *check, enum backend_health health, const char *why)
{
	struct backend *backend = check->backend;
	struct load_balancer *lb = check->entry->lb;
	enum backend_health before = backend->health;

	pool_mark(check->entry->pool, backend, health, why);
	if (backend->health == before)
		return;
	/* One bit, written before anything is computed: failover does not wait for a table. */
	if (lb->dataplane && lb->open && !backend_eligible(check->entry->pool, backend))
		dataplane_set_eligible(lb->dataplane, backend->id, false);
	if (backend->health == HEALTH_DOWN)
		on_down_note(check);
	log_info("backend '%s' of pool '%s' is %s: %s", backend->spec.name,
		 pool_spec(check->entry->pool)->name,
		 strtable_name(&backend_health_names, (int)backend->health), why);
	events_backend(
		lb, check->entry->pool, backend,
		(struct event){.kind = "health",
			       .from = strtable_name(&backend_health_names, (int)before),
			       .to = strtable_name(&backend_health_names, (int)backend->health),
			       .reason = why});
	open_when_known(lb);
}

static void on_result(void *owner, enum health_status status, enum health_reason reason)
{
	entry_mark(owner, health_of_status[status],
		   strtable_name(&health_reason_names, (int)reason));
}

static void start_check(struct backend_check *check)
{
	struct backend *backend = check->backend;
	int r;

	if (check->check)
		health_info(check->check, &check->last);
	health_close(check->check);
	check->check = NULL;
	if (check->entry->health.type == HEALTH_NONE) {
		pool_mark(check->entry->pool, backend, HEALTH_UP, "not_checked");
		return;
	}
	if (backend->spec.admin == ADMIN_DISABLED)
		return;
	r = health_start(check->entry->lb->loop, &check->entry->health, &backend->spec.addr,
			 status_of(backend), on_result, check, &check->check);
	if (r < 0)
		log_error("cannot check backend '%s': %s", backend->spec.name, strerror(-r));
	else
		health_carry(check->check, &check->last);
}

void entry_pause(struct pool_entry *entry)
{
	list_for_each (node, pool_all(entry->pool)) {
		struct backend_check *check = backend_of(node)->user;

		if (!check || !check->check)
			continue;
		health_info(check->check, &check->last);
		health_close(check->check);
		check->check = NULL;
	}
}

void entry_resume(struct pool_entry *entry)
{
	list_for_each (node, pool_all(entry->pool))
		if (backend_of(node)->user)
			start_check(backend_of(node)->user);
}

bool entry_known(struct pool_entry *entry)
{
	list_for_each (node, pool_all(entry->pool)) {
		struct backend *backend = backend_of(node);
		struct backend_check *check = backend->user;

		if (check && check->check && backend->health == HEALTH_UNKNOWN)
			return false;
	}
	return true;
}

/* ---- Backends ------------------------------------------------------------------------------ */

static int add_backend(struct pool_entry *entry, const struct backend_spec *spec, struct error *err)
{
	struct backend_check *check = calloc(1, sizeof(*check));
	struct backend *backend;
	int r;

	if (!check)
		return error_set(err, -ENOMEM, "", "out of memory");
	r = pool_add(entry->pool, spec, &backend, err);
	if (r < 0) {
		free(check);
		return r;
	}
	tombstone_drop(entry->lb, backend->id);
	events_backend(entry->lb, entry->pool, backend,
		       (struct event){.kind = "backend", .to = "added", .reason = "configuration"});
	*check = (struct backend_check){.entry = entry, .backend = backend};
	passive_init(check);
	backend->user = check;
	inherit_health(entry->lb, entry, backend);
	start_check(check);
	return 0;
}

static void remove_backend(struct pool_entry *entry, struct backend *backend)
{
	struct backend_check *check = backend->user;

	tombstone_add(entry->lb, entry->id, backend);
	events_backend(
		entry->lb, entry->pool, backend,
		(struct event){.kind = "backend", .to = "removed", .reason = "configuration"});
	if (check) {
		health_close(check->check);
		passive_fini(check);
	}
	free(check);
	backend->user = NULL;
	pool_remove(entry->pool, backend);
}

static const struct backend_spec *spec_find(const struct pool_spec *spec, const char *name)
{
	for (uint32_t i = 0; i < spec->n_backends; i++) {
		if (strcmp(spec->backends[i].name, name) == 0)
			return &spec->backends[i];
	}
	return NULL;
}

/* Those that are gone, or live at another address now. */
static void remove_absent(struct pool_entry *entry, const struct pool_spec *spec)
{
	list_for_each_safe (node, pool_all(entry->pool)) {
		struct backend *backend = backend_of(node);
		const struct backend_spec *wanted =
			spec ? spec_find(spec, backend->spec.name) : NULL;

		if (!wanted || !addr_equal(&wanted->addr, &backend->spec.addr))
			remove_backend(entry, backend);
	}
}

static void change_backend(struct pool_entry *entry, struct backend *backend,
			   const struct backend_spec *spec)
{
	enum admin_state before = backend->spec.admin;
	bool was_disabled = before == ADMIN_DISABLED;

	if (backend_spec_equal(&backend->spec, spec))
		return;
	pool_set(entry->pool, backend, spec);
	if (before != spec->admin)
		events_backend(entry->lb, entry->pool, backend,
			       (struct event){.kind = "admin",
					      .from = strtable_name(&admin_names, (int)before),
					      .to = strtable_name(&admin_names, (int)spec->admin),
					      .reason = "configuration"});
	if (was_disabled != (spec->admin == ADMIN_DISABLED))
		start_check(backend->user);
}

static int apply_backends(struct pool_entry *entry, const struct pool_spec *spec, struct error *err)
{
	remove_absent(entry, spec);
	for (uint32_t i = 0; i < spec->n_backends; i++) {
		struct backend *backend = pool_find(entry->pool, spec->backends[i].name);
		int r = 0;

		if (backend)
			change_backend(entry, backend, &spec->backends[i]);
		else
			r = add_backend(entry, &spec->backends[i], err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- Pools --------------------------------------------------------------------------------- */

static void on_change(void *ctx, struct pool *pool)
{
	struct pool_entry *entry = ctx;

	entry->stale = true;
	refresh_soon(entry->lb);
	slow_start_watch(entry->lb, pool);
}

static int entry_new(struct load_balancer *lb, const struct config_pool *spec,
		     struct pool_entry **ret_entry, struct error *err)
{
	struct pool_entry *entry = calloc(1, sizeof(*entry));

	if (!entry)
		return error_set(err, -ENOMEM, "", "out of memory");
	entry->lb = lb;
	entry->stale = true;
	entry->health = spec->health;
	entry->id = ids_take(&lb->pool_ids, spec->pool.name);
	if (entry->id == 0 || pool_new(&spec->pool, lb->registry, &entry->pool) < 0) {
		free(entry);
		return error_set(err, -ENOMEM, spec->pool.name, "cannot make pool '%s'",
				 spec->pool.name);
	}
	pool_on_change(entry->pool, on_change, entry);
	if (lb->open)
		pool_start_slowly(entry->pool);
	list_append(&lb->pools, &entry->node);
	*ret_entry = entry;
	return 0;
}

static void apply_health(struct pool_entry *entry, const struct health_spec *health)
{
	if (health_spec_equal(&entry->health, health))
		return;
	entry->health = *health;
	list_for_each (node, pool_all(entry->pool))
		start_check(backend_of(node)->user);
}

int entry_apply(struct load_balancer *lb, const struct config_pool *spec, struct error *err)
{
	struct pool_entry *entry = entry_find(lb, spec->pool.name);
	int r = 0;

	if (!entry)
		r = entry_new(lb, spec, &entry, err);
	if (!entry)
		return r;
	/* The algorithm lives in the balancer: it must be made anew. */
	if (strcmp(pool_spec(entry->pool)->algorithm, spec->pool.algorithm) != 0)
		entry->stale = true;
	pool_configure(entry->pool, &spec->pool);
	apply_health(entry, &spec->health);
	refresh_soon(lb);
	return apply_backends(entry, &spec->pool, err);
}

void entry_free(struct pool_entry *entry)
{
	if (!entry)
		return;
	remove_absent(entry, NULL);
	list_remove(&entry->node);
	ids_release(&entry->lb->pool_ids, entry->id);
	shared_balancer_put(entry->shared);
	pool_free(entry->pool);
	free(entry);
}

int entry_rebalance(struct pool_entry *entry, uint32_t steps)
{
	const struct pool_spec *spec = pool_spec(entry->pool);
	uint32_t size = project_table_size(spec, pool_count(entry->pool), steps);
	const struct balancer *previous = entry->shared ? entry->shared->balancer : NULL;
	struct shared_balancer *shared;
	int r;

	if (!entry->stale && size == entry->table_size)
		return 0;
	shared = calloc(1, sizeof(*shared));
	if (!shared)
		return -ENOMEM;
	shared->refs = 1;
	shared->draining = view_get(pool_draining(entry->pool));
	r = balancer_new_sized(spec->algorithm, pool_eligible(entry->pool), size, previous,
			       &shared->balancer);
	if (r < 0) {
		shared_balancer_put(shared);
		return r;
	}
	shared_balancer_put(entry->shared);
	entry->shared = shared;
	entry->table_size = size;
	entry->stale = false;
	return 0;
}
