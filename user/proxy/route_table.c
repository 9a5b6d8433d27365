/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "proxy/route_table.h"

#include <errno.h>
#include <stdlib.h>

#include "http/message.h"

/* ---- Shares --------------------------------------------------------------------------------- */

static uint32_t gcd(uint32_t a, uint32_t b)
{
	while (b) {
		uint32_t rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

/* Smooth weighted round robin: who has waited longest for its share is next. */
static void fill_turns(struct route_turns *turns, const struct route_spec *spec, uint32_t divisor)
{
	int32_t credit[ROUTE_MAX_SHARES] = {0};

	for (uint32_t at = 0; at < turns->n; at++) {
		uint32_t best = 0;

		for (uint32_t i = 0; i < spec->n_shares; i++) {
			credit[i] += (int32_t)(spec->shares[i].weight / divisor);
			if (credit[i] > credit[best])
				best = i;
		}
		credit[best] -= (int32_t)turns->n;
		turns->pools[at] = (uint8_t)best;
	}
}

static int make_turns(struct route_turns *turns, const struct route_spec *spec)
{
	uint32_t divisor = 0, sum = 0;

	atomic_init(&turns->next, 0);
	for (uint32_t i = 0; i < spec->n_shares; i++) {
		divisor = gcd(spec->shares[i].weight, divisor);
		sum += spec->shares[i].weight;
	}
	if (sum == 0)
		return 0;
	turns->n = sum / divisor;
	turns->pools = malloc(turns->n);
	if (!turns->pools)
		return -ENOMEM;
	fill_turns(turns, spec, divisor);
	return 0;
}

uint32_t route_turn(struct route_rule *rule)
{
	struct route_turns *turns = &rule->turns;

	if (turns->n == 0)
		return 0;
	return turns->pools[atomic_fetch_add_explicit(&turns->next, 1, memory_order_relaxed) %
			    turns->n];
}

uint32_t route_next_turn(const struct route_rule *rule)
{
	const struct route_turns *turns = &rule->turns;

	if (turns->n == 0)
		return 0;
	return turns->pools[atomic_load_explicit(&turns->next, memory_order_relaxed) % turns->n];
}

/* ---- Rules ---------------------------------------------------------------------------------- */

static void inherit(struct timeouts_spec *timeouts, const struct timeouts_spec *from)
{
	uint32_t *to = (uint32_t *)timeouts;

	_Static_assert(sizeof(*from) % sizeof(uint32_t) == 0, "all of them are uint32_t");
	for (size_t i = 0; i < sizeof(*from) / sizeof(uint32_t); i++)
		if (to[i] == 0)
			to[i] = ((const uint32_t *)from)[i];
}

static void make_methods(struct route_rule *rule)
{
	const struct route_spec *spec = rule->spec;

	for (uint32_t i = 0; i < spec->n_methods; i++) {
		enum http_method method = http_method_of(slice_of(spec->methods[i]));

		rule->methods |= 1U << method;
		rule->other_methods = rule->other_methods || method == HTTP_OTHER;
	}
}

static int make_rule(struct route_table *table, uint32_t i)
{
	const struct route_spec *spec = &table->spec->routes[i];
	struct route_rule *rule = &table->rules[i];
	struct error err = {0};
	int r;

	rule->spec = spec;
	rule->timeouts = spec->timeouts;
	rule->first_pool = table->n_pools;
	inherit(&rule->timeouts, &table->spec->timeouts);
	make_methods(rule);
	table->n_pools += route_n_pools(spec);
	table->paths = table->paths || spec->path[0];
	r = make_turns(&rule->turns, spec);
	if (r == 0 && spec->redirect.to[0])
		r = format_compile(slice_of(spec->redirect.to), &variable_names, &rule->redirect,
				   &err);
	if (r == 0)
		r = header_edits_init(&rule->request_edits, &spec->request_headers);
	if (r == 0)
		r = header_edits_init(&rule->response_edits, &spec->response_headers);
	return r;
}

/* ---- The index ------------------------------------------------------------------------------ */

bool route_host_fits(struct slice want, struct slice host)
{
	struct slice tail;

	if (want.len == 0)
		return true;
	if (want.ptr[0] != '*')
		return slice_caseeq(want, host);
	want.ptr++;
	want.len--;
	if (host.len <= want.len)
		return false;
	tail = (struct slice){host.ptr + host.len - want.len, want.len};
	return slice_caseeq(want, tail);
}

/* FNV-1a over the host in lower case. */
static uint32_t hash_of(struct slice host)
{
	uint32_t hash = 2166136261U;

	for (size_t i = 0; i < host.len; i++) {
		unsigned char c = (unsigned char)host.ptr[i];

		if (c >= 'A' && c <= 'Z')
			c |= 0x20;
		hash = (hash ^ c) * 16777619U;
	}
	return hash;
}

/* The bucket of <host>, or the empty one where it belongs. */
static uint16_t *bucket_of(const struct route_table *table, struct slice host)
{
	uint32_t at = hash_of(host) & table->mask;

	while (table->buckets[at] && !slice_caseeq(table->lists[table->buckets[at] - 1].host, host))
		at = (at + 1) & table->mask;
	return &table->buckets[at];
}

const struct route_list *route_table_list(const struct route_table *table, struct slice host)
{
	uint16_t i;

	if (!table->lists)
		return NULL;
	i = *bucket_of(table, host);
	return &table->lists[i > 0 ? i - 1U : table->n_lists - 1];
}

static bool is_exact(const struct route_spec *route)
{
	return route->host[0] && route->host[0] != '*';
}

/* May the route take a request that this list is for? An empty host: any that is not named. */
static bool belongs(const struct route_spec *route, struct slice host)
{
	if (host.len == 0)
		return !is_exact(route);
	return route_host_fits(slice_of(route->host), host);
}

/* Writes the indexes of the routes for <host> to <order>, or counts them where it is NULL. */
static uint32_t put_routes(const struct service_spec *spec, struct slice host, uint16_t *order)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < spec->n_routes; i++) {
		if (!belongs(&spec->routes[i], host))
			continue;
		if (order)
			order[n] = (uint16_t)i;
		n++;
	}
	return n;
}

static int fill_lists(struct route_table *table)
{
	uint32_t total = 0;

	for (uint32_t i = 0; i < table->n_lists; i++) {
		struct route_list *list = &table->lists[i];

		list->first = total;
		list->n = put_routes(table->spec, list->host, NULL);
		total += list->n;
	}
	table->order = calloc(total + 1ULL, sizeof(*table->order));
	if (!table->order)
		return -ENOMEM;
	for (uint32_t i = 0; i < table->n_lists; i++)
		(void)put_routes(table->spec, table->lists[i].host,
				 table->order + table->lists[i].first);
	return 0;
}

static int make_index(struct route_table *table)
{
	const struct service_spec *spec = table->spec;
	uint32_t size = 4;

	if (spec->n_routes < ROUTE_INDEX_FROM)
		return 0;
	while (size < 2 * spec->n_routes)
		size *= 2;
	table->mask = size - 1;
	table->buckets = calloc(size, sizeof(*table->buckets));
	table->lists = calloc(spec->n_routes + 1ULL, sizeof(*table->lists));
	if (!table->buckets || !table->lists)
		return -ENOMEM;
	for (uint32_t i = 0; i < spec->n_routes; i++) {
		struct slice host = slice_of(spec->routes[i].host);
		uint16_t *bucket;

		if (!is_exact(&spec->routes[i]))
			continue;
		bucket = bucket_of(table, host);
		if (*bucket)
			continue;
		table->lists[table->n_lists++].host = host;
		*bucket = (uint16_t)table->n_lists;
	}
	table->n_lists++;
	return fill_lists(table);
}

/* ---- Life ----------------------------------------------------------------------------------- */

int route_table_new(const struct service_spec *spec, struct route_table **ret_table)
{
	struct route_table *table = calloc(1, sizeof(*table));
	int r;

	if (!table)
		return -ENOMEM;
	table->spec = spec;
	table->rules = calloc(spec->n_routes + 1ULL, sizeof(*table->rules));
	r = table->rules ? 0 : -ENOMEM;
	for (uint32_t i = 0; r == 0 && i < spec->n_routes; i++)
		r = make_rule(table, i);
	if (r == 0)
		r = make_index(table);
	if (r < 0) {
		route_table_free(table);
		return r;
	}
	*ret_table = table;
	return 0;
}

void route_table_free(struct route_table *table)
{
	if (!table)
		return;
	for (uint32_t i = 0; table->rules && i < table->spec->n_routes; i++) {
		free(table->rules[i].turns.pools);
		format_fini(&table->rules[i].redirect);
		header_edits_fini(&table->rules[i].request_edits);
		header_edits_fini(&table->rules[i].response_edits);
	}
	free(table->rules);
	free(table->order);
	free(table->lists);
	free(table->buckets);
	free(table);
}
