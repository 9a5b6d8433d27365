/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Maps of plain memory, which check after every single write what a packet would see, and which can
 * stop writing after any of them; wanted states in a few letters.
 *
 * For: test_sync.c. Owns: <fake>, the memory.
 */
#ifndef TESTS_FAKE_MAPS_H
#define TESTS_FAKE_MAPS_H

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/sync.h"
#include "lb/ends.h"

#define MAX_SERVICES 16
#define MAX_PREFIXES 16

struct fake {
	struct lb_backend backends[LB_MAX_BACKENDS];
	struct lb_pool pools[LB_MAX_POOLS];
	struct lb_slot_line lines[LB_MAX_SLOTS / 4];
	uint64_t ends[LB_ENDS_WORDS];
	struct lb_snat snat[LB_MAX_SNAT];
	struct lb_ip vips[LB_MAX_VIPS];
	struct service_entry services[MAX_SERVICES];
	uint32_t n_services;
	struct prefix_entry prefixes[MAX_PREFIXES];
	uint32_t n_prefixes;
	uint32_t writes; /* since the last reset */
	uint32_t budget; /* writes that still succeed */
	uint64_t now_ms;
	uint32_t waits;
	uint32_t cleared; /* counters of how many ids */
	uint8_t net;	  /* our network on the way to tunnels' backends; 0: there is no way */
	bool tunnels;	  /* all backends are at the end of one */
};

static struct fake fake;

/* ---- What must hold for packets at any time ------------------------------------------------ */

static void check_table(const struct lb_pool *pool)
{
	const uint16_t *ids = (const uint16_t *)fake.lines + LB_TABLE_OFFSET(pool->table);

	assert_true((uint64_t)LB_TABLE_OFFSET(pool->table) + LB_TABLE_SIZE(pool->table) <=
		    LB_MAX_SLOTS);
	for (uint32_t i = 0; i < LB_TABLE_SIZE(pool->table); i++) {
		assert_int_not_equal(ids[i], 0);
		assert_true(fake.backends[ids[i]].flags & LB_BACKEND_USED);
		assert_int_not_equal(fake.backends[ids[i]].port, 0);
	}
}

static bool has_end(const struct lb_ip *addr, uint16_t port, uint8_t proto)
{
	uint64_t hash = lb_end_hash(lb_end_address(addr), port, proto);

	return (fake.ends[lb_end_word(hash)] & lb_end_bits(hash)) == lb_end_bits(hash);
}

static uint32_t prefixes_of(uint32_t service)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < fake.n_prefixes; i++)
		count += ntohl(fake.prefixes[i].key.service) == service;
	return count;
}

/*
 * A service leads to a pool, and its packets are looked up; an address alone leads nowhere. One
 * that only lets some in has them.
 */
static void check_service(const struct service_entry *entry)
{
	if (entry->key.proto == LB_PROTO_ICMP)
		return;
	assert_int_equal(fake.pools[entry->value.pool].used, 1);
	assert_true(has_end(&entry->key.addr, entry->key.port, entry->key.proto));
	if (entry->value.flags & LB_SERVICE_ALLOW_ONLY)
		assert_int_not_equal(prefixes_of(entry->value.id), 0);
}

static void check_packets(void)
{
	for (uint32_t i = 0; i < fake.n_services; i++)
		check_service(&fake.services[i]);
	for (uint32_t id = 1; id < 16; id++) {
		if (fake.backends[id].flags & LB_BACKEND_ELIGIBLE)
			assert_true(has_end(&fake.backends[id].addr, fake.backends[id].port,
					    LB_PROTO_TCP));
		if (fake.tunnels && fake.backends[id].flags & LB_BACKEND_ELIGIBLE)
			assert_int_not_equal(fake.backends[id].source.b[15], 0);
	}
	for (uint32_t id = 1; id < 16; id++)
		check_table(&fake.pools[id]);
}

static int step(void)
{
	if (fake.budget == 0)
		return -EIO;
	fake.budget--;
	fake.writes++;
	return 0;
}

static int done(void)
{
	check_packets();
	return 0;
}

/* ---- The operations ------------------------------------------------------------------------ */

static int backend_flags(void *ctx, uint16_t id, uint32_t flags)
{
	(void)ctx;
	if (step())
		return -EIO;
	fake.backends[id].flags = flags;
	return done();
}

static int backend_body(void *ctx, uint16_t id, const struct lb_backend *body)
{
	uint32_t flags = fake.backends[id].flags;

	(void)ctx;
	if (step())
		return -EIO;
	fake.backends[id] = *body;
	fake.backends[id].flags = flags;
	return done();
}

static int slots(void *ctx, uint32_t offset, const uint16_t *ids, uint32_t count)
{
	(void)ctx;
	if (step())
		return -EIO;
	assert_true(offset + count <= LB_MAX_SLOTS);
	memcpy((uint16_t *)fake.lines + offset, ids, count * sizeof(*ids));
	return done();
}

static int pool_table(void *ctx, uint32_t id, uint64_t table)
{
	(void)ctx;
	if (step())
		return -EIO;
	fake.pools[id].table = table;
	return done();
}

static int pool_body(void *ctx, uint32_t id, const struct lb_pool *body)
{
	struct lb_pool *row = &fake.pools[id];
	struct lb_pool kept = *row;

	(void)ctx;
	if (step())
		return -EIO;
	*row = *body;
	row->table = kept.table;
	row->next = kept.next;
	return done();
}

static struct service_entry *find_service(const struct lb_service_key *key)
{
	for (uint32_t i = 0; i < fake.n_services; i++) {
		if (memcmp(&fake.services[i].key, key, sizeof(*key)) == 0)
			return &fake.services[i];
	}
	return NULL;
}

static int service_put(void *ctx, const struct lb_service_key *key, const struct lb_service *value)
{
	struct service_entry *there = find_service(key);

	(void)ctx;
	if (step())
		return -EIO;
	if (!there)
		there = &fake.services[fake.n_services++];
	assert_true(fake.n_services <= MAX_SERVICES);
	*there = (struct service_entry){.key = *key, .value = *value};
	return done();
}

static int service_delete(void *ctx, const struct lb_service_key *key)
{
	struct service_entry *there = find_service(key);

	(void)ctx;
	if (!there)
		return -ENOENT;
	if (step())
		return -EIO;
	*there = fake.services[--fake.n_services];
	return done();
}

static int backend_clear_stats(void *ctx, uint16_t id)
{
	(void)ctx;
	(void)id;
	fake.cleared++;
	return step();
}

static int service_clear_stats(void *ctx, uint32_t id)
{
	(void)ctx;
	(void)id;
	fake.cleared++;
	return step();
}

static int service_next(void *ctx, const struct lb_service_key *prev,
			struct lb_service_key *ret_key, struct lb_service *ret_value)
{
	const struct service_entry *entry = prev ? find_service(prev) + 1 : fake.services;

	(void)ctx;
	if (entry == fake.services + fake.n_services)
		return -ENOENT;
	*ret_key = entry->key;
	*ret_value = entry->value;
	return 0;
}

static int ends(void *ctx, const uint64_t *words)
{
	(void)ctx;
	if (step())
		return -EIO;
	memcpy(fake.ends, words, sizeof(fake.ends));
	return done();
}

static int snat_put(void *ctx, uint32_t row, const struct lb_snat *value)
{
	(void)ctx;
	if (step())
		return -EIO;
	assert_in_range(row, 1, LB_MAX_SNAT - 1);
	fake.snat[row] = *value;
	return done();
}

static int vip_put(void *ctx, uint32_t row, const struct lb_ip *addr)
{
	(void)ctx;
	if (step())
		return -EIO;
	assert_in_range(row, 1, LB_MAX_VIPS - 1);
	fake.vips[row] = *addr;
	return done();
}

static int source(void *ctx, const struct lb_ip *addr, struct lb_ip *ret_source)
{
	(void)ctx;
	memset(ret_source, 0, sizeof(*ret_source));
	if (fake.net == 0)
		return 0;
	*ret_source = *addr;
	ret_source->b[14] = fake.net;
	ret_source->b[15] = 1;
	return 0;
}

static struct prefix_entry *find_prefix(const struct lb_prefix_key *key)
{
	for (uint32_t i = 0; i < fake.n_prefixes; i++) {
		if (memcmp(&fake.prefixes[i].key, key, sizeof(*key)) == 0)
			return &fake.prefixes[i];
	}
	return NULL;
}

static int prefix_put(void *ctx, const struct lb_prefix_key *key, uint32_t value)
{
	struct prefix_entry *there = find_prefix(key);

	(void)ctx;
	if (step())
		return -EIO;
	if (!there)
		there = &fake.prefixes[fake.n_prefixes++];
	assert_true(fake.n_prefixes <= MAX_PREFIXES);
	*there = (struct prefix_entry){.key = *key, .value = value};
	return done();
}

static int prefix_delete(void *ctx, const struct lb_prefix_key *key)
{
	struct prefix_entry *there = find_prefix(key);

	(void)ctx;
	if (!there)
		return -ENOENT;
	if (step())
		return -EIO;
	*there = fake.prefixes[--fake.n_prefixes];
	return done();
}

static int prefix_next(void *ctx, const struct lb_prefix_key *prev, struct lb_prefix_key *ret_key,
		       uint32_t *ret_value)
{
	const struct prefix_entry *entry = prev ? find_prefix(prev) + 1 : fake.prefixes;

	(void)ctx;
	if (entry == fake.prefixes + fake.n_prefixes)
		return -ENOENT;
	*ret_key = entry->key;
	*ret_value = entry->value;
	return 0;
}

static uint64_t now_ms(void *ctx)
{
	(void)ctx;
	return fake.now_ms;
}

static void wait_ms(void *ctx, uint32_t ms)
{
	(void)ctx;
	fake.waits++;
	fake.now_ms += ms;
}

static const struct map_ops ops = {
	.backend_flags = backend_flags,
	.backend_body = backend_body,
	.slots = slots,
	.pool_table = pool_table,
	.pool_body = pool_body,
	.service_put = service_put,
	.service_delete = service_delete,
	.backend_clear_stats = backend_clear_stats,
	.service_clear_stats = service_clear_stats,
	.ends = ends,
	.snat_put = snat_put,
	.vip_put = vip_put,
	.source = source,
	.prefix_put = prefix_put,
	.prefix_delete = prefix_delete,
	.prefix_next = prefix_next,
	.service_next = service_next,
	.now_ms = now_ms,
	.wait_ms = wait_ms,
};

/* ---- Wanted states, in a few letters ------------------------------------------------------- */

struct row_backend {
	uint16_t id;
	uint32_t pool, weight;
	const char *address;
	char state; /* 'e' eligible, 'i' ineligible, 't' tombstone */
};

struct row_pool {
	uint32_t id;
	enum lb_choice choice;
	const char *name;
	uint16_t slots[12]; /* up to the first 0 */
};

struct row_service {
	uint32_t id, pool;
	const char *listen;
	const char *prefixes[3]; /* "+10.0.0.0/8" allowed, "-" denied */
};

struct row_state {
	struct row_backend backends[6];
	struct row_pool pools[3];
	struct row_service services[3];
};

static struct addr address(const char *text)
{
	struct addr addr;

	assert_null(addr_parse(slice_of(text), true, &addr));
	return addr;
}

static void fill_pool(const struct row_pool *row, struct wanted_pool *pool)
{
	*pool = (struct wanted_pool){.id = row->id, .choice = row->choice};
	(void)snprintf(pool->name, sizeof(pool->name), "%s", row->name);
	while (pool->n_slots < 12 && row->slots[pool->n_slots])
		pool->n_slots++;
	pool->slots = calloc(12, sizeof(*pool->slots));
	assert_non_null(pool->slots);
	memcpy(pool->slots, row->slots, sizeof(row->slots));
}

static void fill_backend(const struct row_backend *row, struct wanted_backend *backend)
{
	*backend = (struct wanted_backend){
		.id = row->id,
		.pool = row->pool,
		.weight = row->weight,
		.addr = address(row->address),
		.eligible = row->state == 'e',
		.tunnel = fake.tunnels,
		.tombstone = row->state == 't',
	};
	(void)snprintf(backend->name, sizeof(backend->name), "%s", row->address);
}

static void fill_prefixes(const struct row_service *row, struct wanted *wanted,
			  struct wanted_service *service)
{
	for (size_t i = 0; i < 3 && row->prefixes[i]; i++) {
		struct wanted_prefix *prefix = &wanted->prefixes[wanted->n_prefixes++];

		prefix->service = row->id;
		prefix->deny = row->prefixes[i][0] == '-';
		assert_null(prefix_parse(slice_of(row->prefixes[i] + 1), &prefix->prefix));
		service->flags |= prefix->deny ? LB_SERVICE_PREFIXES
					       : LB_SERVICE_PREFIXES | LB_SERVICE_ALLOW_ONLY;
	}
}

static struct wanted wanted_of(const struct row_state *state)
{
	struct wanted wanted = {
		.backends = calloc(6, sizeof(*wanted.backends)),
		.pools = calloc(3, sizeof(*wanted.pools)),
		.services = calloc(3, sizeof(*wanted.services)),
		.prefixes = calloc(9, sizeof(*wanted.prefixes)),
	};

	for (; wanted.n_backends < 6 && state->backends[wanted.n_backends].id; wanted.n_backends++)
		fill_backend(&state->backends[wanted.n_backends],
			     &wanted.backends[wanted.n_backends]);
	for (; wanted.n_pools < 3 && state->pools[wanted.n_pools].id; wanted.n_pools++)
		fill_pool(&state->pools[wanted.n_pools], &wanted.pools[wanted.n_pools]);
	for (; wanted.n_services < 3 && state->services[wanted.n_services].id;
	     wanted.n_services++) {
		const struct row_service *row = &state->services[wanted.n_services];

		wanted.services[wanted.n_services] = (struct wanted_service){
			.id = row->id,
			.pool = row->pool,
			.listen = address(row->listen),
			.proto = LB_PROTO_TCP,
			.name = "service",
		};
		fill_prefixes(row, &wanted, &wanted.services[wanted.n_services]);
	}
	return wanted;
}

/* ---- Whether the maps say what is wanted, without asking sync ------------------------------ */

static void check_backends(const struct wanted *wanted)
{
	uint32_t present = 0;

	for (uint32_t i = 0; i < wanted->n_backends; i++) {
		const struct wanted_backend *backend = &wanted->backends[i];
		const struct lb_backend *row = &fake.backends[backend->id];
		bool eligible = backend->eligible && !(fake.tunnels && row->source.b[15] == 0);
		uint32_t flags = backend->tombstone ? LB_BACKEND_TOMBSTONE
				 : eligible	    ? LB_BACKEND_USED | LB_BACKEND_ELIGIBLE
						    : LB_BACKEND_USED;

		assert_int_equal(row->flags, flags);
		assert_int_equal(row->pool, backend->pool);
		assert_int_equal(row->weight, backend->weight);
		assert_int_equal(row->port, backend->addr.port);
		assert_memory_equal(row->addr.b, backend->addr.ip, 16);
		assert_string_equal(row->name, backend->name);
		assert_int_equal(row->removed_at != 0, backend->tombstone);
	}
	for (uint32_t id = 0; id < LB_MAX_BACKENDS; id++)
		present += fake.backends[id].flags != 0;
	assert_int_equal(present, wanted->n_backends);
}

static void check_pools(const struct wanted *wanted)
{
	uint32_t present = 0;

	for (uint32_t i = 0; i < wanted->n_pools; i++) {
		const struct wanted_pool *pool = &wanted->pools[i];
		const struct lb_pool *row = &fake.pools[pool->id];

		assert_int_equal(row->used, 1);
		assert_int_equal(row->choice, pool->choice);
		assert_string_equal(row->name, pool->name);
		assert_int_equal(row->hash_seed, sync_pool_seed(pool->name));
		assert_int_equal(LB_TABLE_SIZE(row->table), pool->n_slots);
		assert_memory_equal((uint16_t *)fake.lines + LB_TABLE_OFFSET(row->table),
				    pool->slots, pool->n_slots * sizeof(uint16_t));
	}
	for (uint32_t id = 0; id < LB_MAX_POOLS; id++)
		present += fake.pools[id].used || fake.pools[id].table;
	assert_int_equal(present, wanted->n_pools);
}

/* Every service's address answers echo, and no other does. */
static void check_addresses(const struct wanted *wanted)
{
	uint32_t n_services = 0;

	for (uint32_t i = 0; i < fake.n_services; i++) {
		struct lb_service_key key = fake.services[i].key;
		bool wants = false;

		if (key.proto != LB_PROTO_ICMP) {
			n_services++;
			key.port = 0;
			key.proto = LB_PROTO_ICMP;
			assert_non_null(find_service(&key));
			continue;
		}
		for (uint32_t j = 0; j < wanted->n_services; j++)
			wants = wants || memcmp(key.addr.b, wanted->services[j].listen.ip, 16) == 0;
		assert_true(wants);
	}
	assert_int_equal(n_services, wanted->n_services);
}

static void check_prefixes(const struct wanted *wanted)
{
	assert_int_equal(fake.n_prefixes, wanted->n_prefixes);
	for (uint32_t i = 0; i < wanted->n_prefixes; i++) {
		const struct wanted_prefix *prefix = &wanted->prefixes[i];
		struct lb_prefix_key key = {.bits = 32U + prefix->prefix.bits,
					    .service = htonl(prefix->service)};
		const struct prefix_entry *entry;

		memcpy(key.addr.b, prefix->prefix.ip, 16);
		entry = find_prefix(&key);
		assert_non_null(entry);
		assert_int_equal(entry->value, prefix->deny ? LB_PREFIX_DENY : LB_PREFIX_ALLOW);
	}
}

static void check_all(const struct wanted *wanted)
{
	check_backends(wanted);
	check_pools(wanted);
	check_addresses(wanted);
	check_prefixes(wanted);
	for (uint32_t i = 0; i < wanted->n_services; i++) {
		struct lb_service_key key = {.port = wanted->services[i].listen.port,
					     .proto = LB_PROTO_TCP};
		const struct service_entry *entry;

		memcpy(key.addr.b, wanted->services[i].listen.ip, 16);
		entry = find_service(&key);
		assert_non_null(entry);
		assert_int_equal(entry->value.id, wanted->services[i].id);
		assert_int_equal(entry->value.pool, wanted->services[i].pool);
		assert_int_equal(entry->value.flags, wanted->services[i].flags);
	}
}

#endif
