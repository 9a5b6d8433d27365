/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/objects.h"
#include "lb/abi.h"

/* 224/3 is multicast, reserved and broadcast; ff00::/8 multicast. */
static bool is_group(const struct addr *addr)
{
	return addr_is_ipv4(addr) ? addr->ip[12] >= 224 : addr->ip[0] == 0xff;
}

static void read_address(struct build *build, const struct place *place, void *out)
{
	struct addr addr;
	const char *why;

	if (!expect_kind(build, place, DOC_SCALAR))
		return;
	why = addr_parse(slice_of(place->doc->text), false, &addr);
	if (!why && (addr_is_any(&addr) || is_group(&addr)))
		why = "must be the address of one server";
	if (!why)
		memcpy(out, &addr, sizeof(addr));
	else
		complain(build, place, "'address: %.64s': %s", place->doc->text, why);
}

static const struct key backend_keys[] = {
	{"address", KEY_OBJECT, offsetof(struct backend_spec, addr), 0, 0, NULL, read_address},
	{"name", KEY_TEXT, offsetof(struct backend_spec, name), 0, POOL_NAME_LEN, NULL, NULL},
	{"weight", KEY_NUMBER, offsetof(struct backend_spec, weight), 0, BACKEND_MAX_WEIGHT, NULL,
	 NULL},
	{"admin", KEY_WORD, offsetof(struct backend_spec, admin), 0, 0, &admin_names, NULL},
	{"backup", KEY_LATER, 0, 0, 0, NULL, NULL},
	{"max-connections", KEY_NUMBER, offsetof(struct backend_spec, max_connections), 1,
	 POOL_MAX_CONNECTIONS, NULL, NULL},
};

static void check_twins(struct build *build, const struct place *place,
			const struct pool_spec *pool)
{
	const struct backend_spec *last = &pool->backends[pool->n_backends - 1];
	char text[ADDR_TEXT_LEN];

	for (uint32_t i = 0; i + 1 < pool->n_backends; i++) {
		const struct backend_spec *other = &pool->backends[i];

		if (strcmp(other->name, last->name) == 0)
			complain(build, place,
				 "backend '%s' is in this pool already: give it another name",
				 last->name);
		else if (addr_equal(&other->addr, &last->addr))
			complain(build, place, "address '%s' is in this pool already, as '%s'",
				 addr_format(&last->addr, text), other->name);
	}
}

/* In a map, which is what the overlay makes of a pool it adds, the key is the name. */
static bool name_backend(struct build *build, const struct place *place,
			 struct backend_spec *backend)
{
	const char *given = backend->name[0] ? backend->name : place->doc->key;
	struct addr addr;

	if (!given ||
	    (!addr_parse(slice_of(given), false, &addr) && addr_equal(&addr, &backend->addr))) {
		addr_format(&backend->addr, backend->name);
		return true;
	}
	if (!expect_name(build, place, given))
		return false;
	if (!backend->name[0])
		(void)snprintf(backend->name, sizeof(backend->name), "%s", given);
	return true;
}

static void read_backend(struct build *build, const struct place *place, struct pool_spec *pool)
{
	struct backend_spec *backend = &pool->backends[pool->n_backends];

	backend->weight = 1;
	keys_read(build, place, backend_keys, COUNT(backend_keys), backend);
	if (place->doc->kind != DOC_MAP && place->doc->kind != DOC_NULL)
		return;
	if (!doc_get(place->doc, "address")) {
		complain(build, place, "'address' is missing: every backend needs one");
		return;
	}
	if (backend->addr.port == 0 && addr_is_any(&backend->addr))
		return; /* its address was wrong, and reported */
	if (!name_backend(build, place, backend))
		return;
	pool->n_backends++;
	check_twins(build, place, pool);
}

static void read_backends(struct build *build, const struct place *place, void *out)
{
	struct pool_spec *pool = out;
	uint32_t n = doc_count(place->doc);

	if (place->doc->kind == DOC_NULL ||
	    (place->doc->kind != DOC_MAP && !expect_kind(build, place, DOC_LIST)))
		return;
	if (n >= LB_MAX_BACKENDS) {
		complain(build, place, "%u backends: at most %u", n, LB_MAX_BACKENDS - 1);
		return;
	}
	pool->backends = build_array(build, n, sizeof(*pool->backends));
	for (const struct doc *child = place->doc->first; pool->backends && child;
	     child = child->next) {
		struct place at = {.doc = child};
		const struct doc *name = doc_get(child, "name");

		if (!name)
			name = doc_get(child, "address");
		(void)snprintf(at.path, sizeof(at.path), "%.110s[%.64s]", place->path,
			       name && name->text ? name->text
			       : child->key	  ? child->key
						  : "?");
		read_backend(build, &at, pool);
	}
}

static void read_algorithm(struct build *build, const struct place *place, void *out)
{
	const char *names[32];
	int n = 0;
	const char *near;

	if (!expect_kind(build, place, DOC_SCALAR))
		return;
	if (algorithm_exists(place->doc->text)) {
		(void)snprintf(out, sizeof(((struct pool_spec *)NULL)->algorithm), "%s",
			       place->doc->text);
		return;
	}
	while (n < (int)COUNT(names) && (names[n] = algorithm_name((unsigned)n)))
		n++;
	near = strtable_nearest(names, n, slice_of(place->doc->text));
	complain(build, place, "'algorithm: %.32s' is unknown: %s'%s'%s", place->doc->text,
		 near ? "did you mean " : "there is for example ", near ? near : names[0],
		 near ? "?" : "");
}

static const char *const start_words[] = {"check", "up"};
static const struct strtable start_names = STRTABLE(start_words);

static void read_start(struct build *build, const struct place *place, void *out)
{
	int value;

	if (!expect_kind(build, place, DOC_SCALAR))
		return;
	value = strtable_value(&start_names, slice_of(place->doc->text));
	if (value < 0)
		complain(build, place, "'start: %.32s': must be check or up", place->doc->text);
	else
		*(bool *)out = value == 1;
}

#define FIELD(name) offsetof(struct config_pool, name)

static const struct key pool_keys[] = {
	{"algorithm", KEY_OBJECT, FIELD(pool.algorithm), 0, 0, NULL, read_algorithm},
	{"health", KEY_OBJECT, FIELD(health), 0, 0, NULL, read_health},
	{"backends", KEY_OBJECT, FIELD(pool), 0, 0, NULL, read_backends},
	{"start", KEY_OBJECT, FIELD(pool.start_up), 0, 0, NULL, read_start},
	{"when-all-down", KEY_WORD, FIELD(pool.when_all_down), 0, 0, &when_all_down_names, NULL},
	{"on-down", KEY_WORD, FIELD(pool.on_down), 0, 0, &on_down_names, NULL},
	{"slow-start", KEY_DURATION, FIELD(pool.slow_start_ms), 0, POOL_MAX_SLOW_START_MS, NULL,
	 NULL},
	{"queue", KEY_OBJECT, FIELD(pool.queue), 0, 0, NULL, read_queue},
	{"retries", KEY_OBJECT, FIELD(pool.retries), 0, 0, NULL, read_retries},
	{"max-connections", KEY_NUMBER, FIELD(pool.max_connections), 1, POOL_MAX_CONNECTIONS, NULL,
	 NULL},
	{"passive", KEY_OBJECT, FIELD(pool.passive), 0, 0, NULL, read_passive},
	{"table-size", KEY_NUMBER, FIELD(pool.table_size), POOL_LEAST_TABLE, LB_MAX_TABLE, NULL,
	 NULL},
};

static void read_pool(struct build *build, const struct place *place, struct config_pool *pool)
{
	if (!expect_name(build, place, place->doc->key))
		return;
	(void)snprintf(pool->pool.name, sizeof(pool->pool.name), "%s", place->doc->key);
	(void)snprintf(pool->pool.algorithm, sizeof(pool->pool.algorithm), "round-robin");
	health_defaults(&pool->health);
	pool_overload_defaults(&pool->pool);
	keys_read(build, place, pool_keys, COUNT(pool_keys), pool);
	for (uint32_t i = 0; i < pool->pool.n_backends; i++) {
		struct backend_spec *backend = &pool->pool.backends[i];

		if (backend->max_connections == 0)
			backend->max_connections = pool->pool.max_connections;
	}
}

void read_pools(struct build *build, const struct place *place, void *out)
{
	struct config *config = out;
	uint32_t n = doc_count(place->doc);

	if (place->doc->kind == DOC_NULL || !expect_kind(build, place, DOC_MAP))
		return;
	if (n >= LB_MAX_POOLS) {
		complain(build, place, "%u pools: at most %u", n, LB_MAX_POOLS - 1);
		return;
	}
	config->pools = build_array(build, n, sizeof(*config->pools));
	for (const struct doc *child = place->doc->first; config->pools && child;
	     child = child->next) {
		struct place at = place_child(place, child, child->key);

		read_pool(build, &at, &config->pools[config->n_pools++]);
	}
}
