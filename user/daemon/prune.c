/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "daemon/prune.h"

#include <stdio.h>
#include <string.h>

#define PATH_LEN 256

struct pruning {
	const struct config *before; /* may be NULL */
	const struct config *after;
	json_t *dropped;
};

/* ---- What a file has ----------------------------------------------------------------------- */

static bool has_pool(const struct config *config, const char *pool, const char *name)
{
	(void)pool;
	return config_find_pool(config, name);
}

static bool has_service(const struct config *config, const char *pool, const char *name)
{
	(void)pool;
	return config_find_service(config, name);
}

static bool has_interface(const struct config *config, const char *pool, const char *name)
{
	(void)pool;
	for (uint32_t i = 0; i < config->n_interfaces; i++) {
		if (strcmp(config->interfaces[i].name, name) == 0)
			return true;
	}
	return false;
}

static bool has_backend(const struct config *config, const char *pool, const char *name)
{
	const struct config_pool *there = config_find_pool(config, pool);

	for (uint32_t i = 0; there && i < there->pool.n_backends; i++) {
		if (strcmp(there->pool.backends[i].name, name) == 0)
			return true;
	}
	return false;
}

/* ---- One list of objects ------------------------------------------------------------------- */

struct kind {
	const char *key; /* of the list */
	const char *must_say;
	bool (*has)(const struct config *config, const char *pool, const char *name);
};

static const struct kind kinds[] = {
	{"pools", NULL, has_pool},
	{"services", "listen", has_service},
	{"interfaces", NULL, has_interface},
};
static const struct kind backends = {"backends", "address", has_backend};

static bool is_gone(const struct pruning *pruning, const struct kind *kind, const char *pool,
		    const char *name, const json_t *change)
{
	if (kind->has(pruning->after, pool, name))
		return false;
	if (json_is_null(change))
		return true; /* removed twice */
	if (pruning->before)
		return kind->has(pruning->before, pool, name);
	return kind->must_say && !json_object_get(change, kind->must_say);
}

static void prune_list(const struct pruning *pruning, const struct kind *kind, const char *pool,
		       json_t *list)
{
	const char *name;
	json_t *change;
	void *next;

	json_object_foreach_safe (list, next, name, change) {
		char path[PATH_LEN];

		if (!is_gone(pruning, kind, pool, name, change))
			continue;
		(void)snprintf(path, sizeof(path), "%s%s%s%s.%s", pool ? "pools." : "",
			       pool ? pool : "", pool ? "." : "", kind->key, name);
		if (!json_is_null(change))
			(void)json_array_append_new(pruning->dropped, json_string(path));
		(void)json_object_del(list, name);
	}
}

/* A pool of which no change is left would be taken for one that was added. */
static void prune_backends(const struct pruning *pruning, json_t *pools)
{
	const char *name;
	json_t *pool;
	void *next;

	json_object_foreach_safe (pools, next, name, pool) {
		json_t *list = json_object_get(pool, backends.key);

		/* A list in the other sense is a pool's that was added as a whole. */
		if (json_object_size(list) == 0)
			continue;
		prune_list(pruning, &backends, name, list);
		if (json_object_size(list) == 0)
			(void)json_object_del(pool, backends.key);
		if (json_object_size(pool) == 0)
			(void)json_object_del(pools, name);
	}
}

json_t *prune_overlay(const json_t *overlay, const struct config *before,
		      const struct config *after, json_t *dropped)
{
	const struct pruning pruning = {before, after, dropped};
	json_t *left = json_deep_copy(overlay);

	if (!left)
		return NULL;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		prune_list(&pruning, &kinds[i], NULL, json_object_get(left, kinds[i].key));
	prune_backends(&pruning, json_object_get(left, "pools"));
	return left;
}
