/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "proxy/sources.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <xxhash.h>

#include "base/list.h"

#define SHARDS	     16
#define BUCKETS	     64 /* of a shard */
#define CELLS	     4096
#define CELL_TRIES   4
#define SOURCE_BITS4 32
#define SOURCE_BITS6 64

/* Zeroed before it is filled: it is hashed and compared as bytes. */
struct source_key {
	uint8_t ip[16];
	uint32_t service;
	uint32_t rate_new, rate_per; /* a limit that was changed begins anew */
};

struct open_source {
	struct list node;
	struct source_key key;
	uint32_t open;
};

/* A bucket of tokens. One whose owner would have all of them back is anybody's. */
struct cell {
	struct source_key key;
	uint64_t full_ms; /* when all tokens are back */
};

struct shard {
	pthread_mutex_t lock;
	struct list buckets[BUCKETS];
	struct cell cells[CELLS];
} __attribute__((aligned(64)));

struct sources {
	struct shard shards[SHARDS];
};

int sources_new(struct sources **ret_sources)
{
	/* Not touched but for locks and lists: the cells take memory where there are rates. */
	struct sources *sources = mmap(NULL, sizeof(*sources), PROT_READ | PROT_WRITE,
				       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (sources == MAP_FAILED)
		return -errno;
	for (int i = 0; i < SHARDS; i++) {
		pthread_mutex_init(&sources->shards[i].lock, NULL);
		for (int j = 0; j < BUCKETS; j++)
			list_init(&sources->shards[i].buckets[j]);
	}
	*ret_sources = sources;
	return 0;
}

static void free_shard(struct shard *shard)
{
	for (int j = 0; j < BUCKETS; j++) {
		list_for_each_safe (node, &shard->buckets[j])
			free(container_of(node, struct open_source, node));
	}
	pthread_mutex_destroy(&shard->lock);
}

void sources_free(struct sources *sources)
{
	for (int i = 0; sources && i < SHARDS; i++)
		free_shard(&sources->shards[i]);
	if (sources)
		munmap(sources, sizeof(*sources));
}

/* ---- Prefixes ------------------------------------------------------------------------------ */

/* The length of the longest that has <peer>; -1: none has. */
static int longest(const struct prefix *prefixes, uint32_t n, const struct addr *peer)
{
	int best = -1;

	for (uint32_t i = 0; i < n; i++) {
		if (prefixes[i].bits > best && prefix_has(&prefixes[i], peer->ip))
			best = prefixes[i].bits;
	}
	return best;
}

/* As bpf/guard.h: the longest prefix of both lists decides; who is in none may connect unless
 * there is a list of who may. */
static bool is_denied(const struct service_spec *spec, const struct addr *peer)
{
	int allow = longest(spec->allow, spec->n_allow, peer);
	int deny = longest(spec->deny, spec->n_deny, peer);

	if (allow < 0 && deny < 0)
		return spec->n_allow > 0;
	return deny > allow;
}

/* ---- Keys ---------------------------------------------------------------------------------- */

static struct source_key key_of(uint32_t service_id, const struct addr *peer, uint32_t bits4,
				uint32_t bits6)
{
	uint32_t bits = addr_is_ipv4(peer) ? 96 + bits4 : bits6;
	struct source_key key;

	memset(&key, 0, sizeof(key));
	key.service = service_id;
	for (uint32_t i = 0; i < sizeof(key.ip); i++) {
		uint32_t left = bits > i * 8 ? bits - i * 8 : 0;

		key.ip[i] = left >= 8 ? peer->ip[i] : (uint8_t)(peer->ip[i] & ~(0xffU >> left));
	}
	return key;
}

static bool key_equal(const struct source_key *a, const struct source_key *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

/* ---- Rates --------------------------------------------------------------------------------- */

/*
 * A bucket is the moment when it will be full again: a token taken moves that on by per/new, and
 * there is one left if it is not further away than per. Times are in 1/65536 ms.
 */
static bool take_token(struct cell *cell, const struct rate_spec *rate, uint64_t now, bool dry)
{
	uint64_t per = (uint64_t)rate->per_ms << 16;
	uint64_t full = (cell->full_ms > now ? cell->full_ms : now) + per / rate->new_flows;

	if (full > now + per)
		return false;
	if (!dry)
		cell->full_ms = full;
	return true;
}

/* <dry>: only one that it has already. NULL: others have all cells it might have, and a limit must
 * not hit the wrong one. */
static struct cell *find_cell(struct shard *shard, const struct source_key *key, uint64_t hash,
			      uint64_t now, bool dry)
{
	struct cell *old = NULL;

	for (uint32_t i = 0; i < CELL_TRIES; i++) {
		struct cell *cell = &shard->cells[((hash >> 16) + i) % CELLS];

		if (key_equal(&cell->key, key))
			return cell;
		if (!old && cell->full_ms <= now)
			old = cell;
	}
	if (dry)
		return NULL;
	if (old)
		*old = (struct cell){.key = *key};
	return old;
}

static bool is_too_fast(struct sources *sources, const struct source_ask *ask)
{
	const struct rate_spec *rate = &ask->spec->rate;
	struct source_key key = key_of(ask->service_id, ask->peer, rate->bits4, rate->bits6);
	uint64_t now = ask->now_ms << 16;
	struct shard *shard;
	struct cell *cell;
	uint64_t hash;
	bool taken;

	key.rate_new = rate->new_flows;
	key.rate_per = rate->per_ms;
	hash = XXH64(&key, sizeof(key), 0);
	shard = &sources->shards[hash % SHARDS];
	pthread_mutex_lock(&shard->lock);
	cell = find_cell(shard, &key, hash, now, ask->dry);
	taken = !cell || take_token(cell, rate, now, ask->dry);
	pthread_mutex_unlock(&shard->lock);
	return !taken;
}

const char *sources_refuse(struct sources *sources, const struct source_ask *ask)
{
	const struct service_spec *spec = ask->spec;

	if ((spec->n_allow || spec->n_deny) && is_denied(spec, ask->peer))
		return "denied";
	if (spec->rate.new_flows && is_too_fast(sources, ask))
		return "rate_limited";
	return NULL;
}

/* ---- Open connections ---------------------------------------------------------------------- */

struct place_of {
	struct shard *shard;
	struct list *bucket;
	struct source_key key;
};

static struct place_of place_of(struct sources *sources, uint32_t service_id,
				const struct addr *peer)
{
	struct source_key key = key_of(service_id, peer, SOURCE_BITS4, SOURCE_BITS6);
	uint64_t hash = XXH64(&key, sizeof(key), 0);
	struct shard *shard = &sources->shards[hash % SHARDS];

	return (struct place_of){shard, &shard->buckets[(hash >> 16) % BUCKETS], key};
}

static struct open_source *find_open(const struct place_of *place)
{
	list_for_each (node, place->bucket) {
		struct open_source *source = container_of(node, struct open_source, node);

		if (key_equal(&source->key, &place->key))
			return source;
	}
	return NULL;
}

/* Without memory for a new one it stays outside. */
static bool enter_locked(const struct place_of *place, uint32_t max)
{
	struct open_source *source = find_open(place);

	if (!source) {
		source = calloc(1, sizeof(*source));
		if (!source)
			return false;
		source->key = place->key;
		list_append(place->bucket, &source->node);
	}
	if (source->open >= max)
		return false;
	source->open++;
	return true;
}

bool sources_enter(struct sources *sources, uint32_t service_id, const struct addr *peer,
		   uint32_t max)
{
	struct place_of place = place_of(sources, service_id, peer);
	bool entered;

	pthread_mutex_lock(&place.shard->lock);
	entered = enter_locked(&place, max);
	pthread_mutex_unlock(&place.shard->lock);
	return entered;
}

void sources_leave(struct sources *sources, uint32_t service_id, const struct addr *peer)
{
	struct place_of place = place_of(sources, service_id, peer);
	struct open_source *source;

	pthread_mutex_lock(&place.shard->lock);
	source = find_open(&place);
	if (source && --source->open == 0) {
		list_remove(&source->node);
		free(source);
	}
	pthread_mutex_unlock(&place.shard->lock);
}

const char *sources_foresee(struct sources *sources, const struct source_ask *ask)
{
	struct place_of place = place_of(sources, ask->service_id, ask->peer);
	struct source_ask dry = *ask;
	const struct open_source *source;
	const char *why;
	uint32_t open;

	dry.dry = true;
	why = sources_refuse(sources, &dry);
	if (why || ask->spec->max_per_source == 0)
		return why;
	pthread_mutex_lock(&place.shard->lock);
	source = find_open(&place);
	open = source ? source->open : 0;
	pthread_mutex_unlock(&place.shard->lock);
	return open >= ask->spec->max_per_source ? SOURCES_TOO_MANY : NULL;
}
