/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "pool/pool.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "pool/ramp.h"

struct pool {
	struct pool_spec spec;
	struct registry *registry;
	struct list backends;
	uint32_t count;
	struct view *view;     /* never NULL */
	struct view *draining; /* never NULL */
	bool slowly;	       /* backends that become eligible ramp up */
	void (*on_change)(void *ctx, struct pool *pool);
	void *ctx;
};

static void no_change(void *ctx, struct pool *pool)
{
	(void)ctx;
	(void)pool;
}

int pool_new(const struct pool_spec *spec, struct registry *registry, struct pool **ret_pool)
{
	struct pool *pool = calloc(1, sizeof(*pool));
	int r;

	if (!pool)
		return -ENOMEM;
	list_init(&pool->backends);
	pool->registry = registry;
	pool->on_change = no_change;
	memcpy(pool->spec.name, spec->name, sizeof(pool->spec.name));
	pool_configure(pool, spec);
	r = view_new(0, 0, &pool->view);
	if (r == 0)
		r = view_new(0, 0, &pool->draining);
	if (r < 0) {
		pool_free(pool);
		return r;
	}
	*ret_pool = pool;
	return 0;
}

void pool_free(struct pool *pool)
{
	if (!pool)
		return;
	list_for_each_safe (node, &pool->backends) {
		struct backend *backend = backend_of(node);

		registry_release(pool->registry, backend->id, clock_ms());
		free(backend);
	}
	view_put(pool->view);
	view_put(pool->draining);
	free(pool);
}

void pool_on_change(struct pool *pool, void (*on_change)(void *ctx, struct pool *pool), void *ctx)
{
	pool->on_change = on_change ? on_change : no_change;
	pool->ctx = ctx;
}

const struct pool_spec *pool_spec(const struct pool *pool)
{
	return &pool->spec;
}

struct list *pool_all(struct pool *pool)
{
	return &pool->backends;
}

struct backend *backend_of(struct list *node)
{
	return container_of(node, struct backend, node);
}

uint32_t pool_count(const struct pool *pool)
{
	return pool->count;
}

struct view *pool_eligible(struct pool *pool)
{
	return pool->view;
}

struct view *pool_draining(struct pool *pool)
{
	return pool->draining;
}

/* ---- Eligibility: decided here and nowhere else ------------------------------------------- */

bool backend_eligible(const struct pool *pool, const struct backend *backend)
{
	(void)pool;
	return backend->eligible;
}

static bool wanted(const struct backend *backend)
{
	return backend->spec.admin == ADMIN_ENABLED && backend->spec.weight > 0;
}

static bool healthy(const struct pool *pool, const struct backend *backend)
{
	return backend->health == HEALTH_UP ||
	       (backend->health == HEALTH_UNKNOWN && pool->spec.start_up);
}

static void set_eligible(struct pool *pool, struct backend *backend, bool eligible)
{
	if (eligible == backend->eligible)
		return;
	backend->eligible = eligible;
	backend->eligible_since_wall_ms = clock_wall_ms();
	backend->ramp_since_ms =
		eligible && pool->slowly && pool->spec.slow_start_ms > 0 ? clock_ms() : 0;
}

/* Every backend's <eligible>; returns how many are. */
static uint32_t decide(struct pool *pool)
{
	bool ignore_health = pool->spec.when_all_down == WHEN_ALL_DOWN_ALL;
	uint32_t count = 0;

	list_for_each (node, &pool->backends) {
		const struct backend *backend = backend_of(node);

		if (wanted(backend) && healthy(pool, backend))
			ignore_health = false;
	}
	list_for_each (node, &pool->backends) {
		struct backend *backend = backend_of(node);
		bool eligible = wanted(backend) && (ignore_health || healthy(pool, backend));

		set_eligible(pool, backend, eligible);
		count += eligible;
	}
	return count;
}

/* ---- Slow start ---------------------------------------------------------------------------- */

static void step_up(const struct pool *pool, struct backend *backend)
{
	backend->ramp = RAMP_STEPS;
	if (backend->ramp_since_ms == 0)
		return;
	if (pool->spec.slow_start_ms > 0)
		backend->ramp =
			ramp_step(clock_ms() - backend->ramp_since_ms, pool->spec.slow_start_ms);
	if (backend->ramp == RAMP_STEPS)
		backend->ramp_since_ms = 0;
}

struct ramps {
	uint32_t most, least; /* steps */
	uint32_t max_weight;
};

static struct ramps step_all(struct pool *pool)
{
	struct ramps ramps = {.least = RAMP_STEPS};

	list_for_each (node, &pool->backends) {
		struct backend *backend = backend_of(node);

		if (!backend->eligible)
			continue;
		step_up(pool, backend);
		if (backend->ramp > ramps.most)
			ramps.most = backend->ramp;
		if (backend->ramp < ramps.least)
			ramps.least = backend->ramp;
		if (backend->spec.weight > ramps.max_weight)
			ramps.max_weight = backend->spec.weight;
	}
	return ramps;
}

/* What is the same for all is no difference: those that start together have all of their weight. */
static void weigh(struct pool *pool)
{
	struct ramps ramps = step_all(pool);
	uint32_t scale = ramp_scale(ramps.max_weight);

	list_for_each (node, &pool->backends) {
		struct backend *backend = backend_of(node);

		if (ramps.least == ramps.most)
			backend->ramp = RAMP_STEPS;
		backend->effective_weight = backend->spec.weight;
		if (ramps.least != ramps.most && backend->eligible)
			backend->effective_weight =
				ramp_weight(backend->spec.weight, scale, backend->ramp);
	}
}

/* ---- Views --------------------------------------------------------------------------------- */

static void fill(const struct pool *pool, struct view_member *member, const struct backend *backend)
{
	member->id = backend->id;
	member->weight = (uint16_t)backend->effective_weight;
	member->ramp = (uint16_t)backend->ramp;
	member->since_ms = backend->draining_since_ms;
	member->max_connections = backend->spec.max_connections;
	member->token = backend_token(pool->spec.name, backend->spec.name);
	member->addr = backend->spec.addr;
	member->live = backend->live;
	memcpy(member->name, backend->spec.name, sizeof(member->name));
}

static bool drains(const struct pool *pool, const struct backend *backend)
{
	return backend->spec.admin == ADMIN_DRAINING && healthy(pool, backend);
}

/* The eligible or the draining ones, <count> of them. */
static int make_view(struct pool *pool, bool draining, uint32_t count, struct view **ret_view)
{
	struct view_member *member;
	struct view *view;
	int r = view_new(count, pool->count, &view);

	if (r < 0)
		return r;
	member = view->members;
	list_for_each (node, &pool->backends) {
		const struct backend *backend = backend_of(node);

		if (draining ? drains(pool, backend) : backend->eligible)
			fill(pool, member++, backend);
	}
	*ret_view = view;
	return 0;
}

static bool same(const struct view *a, const struct view *b)
{
	if (a->count != b->count || a->pool_size != b->pool_size)
		return false;
	for (uint32_t i = 0; i < a->count; i++) {
		const struct view_member *x = &a->members[i];
		const struct view_member *y = &b->members[i];

		if (x->id != y->id || x->weight != y->weight || x->ramp != y->ramp ||
		    x->since_ms != y->since_ms || x->max_connections != y->max_connections ||
		    strcmp(x->name, y->name) != 0)
			return false;
	}
	return true;
}

/* True if it differs from the one before. */
static bool renew(struct pool *pool, bool draining, uint32_t count)
{
	struct view **at = draining ? &pool->draining : &pool->view;
	struct view *view;

	if (make_view(pool, draining, count, &view) < 0) {
		log_error("cannot renew the view of pool '%s': out of memory", pool->spec.name);
		return false;
	}
	if (same(*at, view)) {
		view_put(view);
		return false;
	}
	view_put(*at);
	*at = view;
	return true;
}

static void refresh(struct pool *pool)
{
	uint32_t n_eligible = decide(pool);
	uint32_t n_draining = 0;
	bool changed;

	weigh(pool);
	list_for_each (node, &pool->backends)
		n_draining += drains(pool, backend_of(node));
	changed = renew(pool, true, n_draining);
	changed = renew(pool, false, n_eligible) || changed;
	if (changed)
		pool->on_change(pool->ctx, pool);
}

void pool_start_slowly(struct pool *pool)
{
	pool->slowly = true;
}

uint32_t pool_climb_in_ms(struct pool *pool)
{
	uint32_t step = pool->spec.slow_start_ms / RAMP_STEPS;

	list_for_each (node, &pool->backends) {
		if (backend_of(node)->ramp_since_ms != 0)
			return step > RAMP_LEAST_MS ? step : RAMP_LEAST_MS;
	}
	return 0;
}

void pool_climb(struct pool *pool)
{
	refresh(pool);
}

/* ---- Changes ------------------------------------------------------------------------------- */

void pool_configure(struct pool *pool, const struct pool_spec *spec)
{
	struct pool_spec own = *spec;

	memcpy(own.name, pool->spec.name, sizeof(own.name));
	own.backends = NULL;
	own.n_backends = 0;
	pool->spec = own;
	if (pool->draining)
		refresh(pool);
}

struct backend *pool_find(struct pool *pool, const char *name)
{
	list_for_each (node, &pool->backends) {
		struct backend *backend = backend_of(node);

		if (strcmp(backend->spec.name, name) == 0)
			return backend;
	}
	return NULL;
}

static struct backend *find_addr(struct pool *pool, const struct addr *addr)
{
	list_for_each (node, &pool->backends) {
		struct backend *backend = backend_of(node);

		if (addr_equal(&backend->spec.addr, addr))
			return backend;
	}
	return NULL;
}

static void insert_sorted(struct pool *pool, struct backend *backend)
{
	struct list *before = pool->backends.next;

	while (before != &pool->backends &&
	       addr_compare(&backend_of(before)->spec.addr, &backend->spec.addr) < 0)
		before = before->next;
	list_append(before, &backend->node);
	pool->count++;
}

static int refuse(struct pool *pool, const struct backend_spec *spec, struct error *err)
{
	char text[ADDR_TEXT_LEN];
	const struct backend *other;

	if (spec->weight > BACKEND_MAX_WEIGHT)
		return error_set(err, -EINVAL, "weight", "weight %u is above %d", spec->weight,
				 BACKEND_MAX_WEIGHT);
	if (pool_find(pool, spec->name))
		return error_set(err, -EEXIST, "name", "pool '%s' has a backend '%s' already",
				 pool->spec.name, spec->name);
	other = find_addr(pool, &spec->addr);
	if (other)
		return error_set(err, -EEXIST, "address",
				 "pool '%s' has address '%s' already: backend '%s'",
				 pool->spec.name, addr_format(&spec->addr, text), other->spec.name);
	return 0;
}

static struct backend *backend_new(const struct backend_spec *spec)
{
	struct backend *backend = calloc(1, sizeof(*backend));

	if (!backend)
		return NULL;
	backend->spec = *spec;
	backend->health_reason = "not_checked";
	backend->changed_wall_ms = clock_wall_ms();
	backend->eligible_since_wall_ms = backend->changed_wall_ms;
	backend->draining_since_ms = spec->admin == ADMIN_DRAINING ? clock_ms() : 0;
	list_init(&backend->node);
	return backend;
}

int pool_add(struct pool *pool, const struct backend_spec *spec, struct backend **ret_backend,
	     struct error *err)
{
	struct backend_spec named = *spec;
	struct backend *backend;
	int r;

	_Static_assert(sizeof(named.name) >= ADDR_TEXT_LEN, "an address is a name");
	if (named.name[0] == '\0')
		addr_format(&named.addr, named.name);
	r = refuse(pool, &named, err);
	if (r < 0)
		return r;
	backend = backend_new(&named);
	if (!backend)
		return error_set(err, -ENOMEM, "", "out of memory");
	r = registry_take(pool->registry, pool->spec.name, &named.addr, clock_ms(), &backend->id);
	if (r < 0) {
		free(backend);
		return error_set(err, r, "", "cannot add backend '%s': all %d ids are in use",
				 named.name, LB_MAX_BACKENDS - 1);
	}
	backend->live = registry_row(pool->registry, backend->id);
	insert_sorted(pool, backend);
	if (ret_backend)
		*ret_backend = backend;
	refresh(pool);
	return 0;
}

void pool_set(struct pool *pool, struct backend *backend, const struct backend_spec *spec)
{
	assert(spec->weight <= BACKEND_MAX_WEIGHT);
	backend->spec.weight = spec->weight;
	backend->spec.max_connections = spec->max_connections;
	if (backend->spec.admin != spec->admin) {
		backend->spec.admin = spec->admin;
		backend->changed_wall_ms = clock_wall_ms();
		backend->draining_since_ms = spec->admin == ADMIN_DRAINING ? clock_ms() : 0;
	}
	refresh(pool);
}

void pool_remove(struct pool *pool, struct backend *backend)
{
	list_remove(&backend->node);
	pool->count--;
	registry_release(pool->registry, backend->id, clock_ms());
	free(backend);
	refresh(pool);
}

void pool_mark(struct pool *pool, struct backend *backend, enum backend_health health,
	       const char *reason)
{
	uint64_t now = clock_wall_ms();

	backend->health_reason = reason;
	if (backend->health == health)
		return;
	backend->history[backend->n_history % BACKEND_HISTORY] = (struct health_change){
		.at_wall_ms = now,
		.from = backend->health,
		.to = health,
		.reason = reason,
	};
	backend->n_history++;
	backend->health = health;
	backend->changed_wall_ms = now;
	refresh(pool);
}
