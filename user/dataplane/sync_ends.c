/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Ends stay in the filter when their service or backend goes: flows of theirs may still be there,
 * and a packet too many that is looked up costs little. A filter that is mostly of the past is made
 * anew.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/sync_parts.h"
#include "lb/ends.h"

/* Half of two bits an end of 65536: above, strangers' packets are often looked up. */
#define CROWDED (LB_ENDS_BITS / 8)

static const uint8_t protos[] = {LB_PROTO_TCP, LB_PROTO_UDP};

static void set(uint64_t *words, uint64_t hash)
{
	words[lb_end_word(hash)] |= lb_end_bits(hash);
}

static void add(uint64_t *words, const uint8_t ip[16], uint16_t port, uint8_t proto)
{
	struct lb_ip addr;

	memcpy(addr.b, ip, sizeof(addr.b));
	set(words, lb_end_hash(lb_end_address(&addr), port, proto));
	if (port == 0)
		set(words, LB_END_ANY_PORT);
}

/* A backend without a port of its own has those of its services. */
static void add_backend(uint64_t *words, const struct wanted *wanted,
			const struct wanted_backend *backend)
{
	for (size_t i = 0; i < sizeof(protos); i++) {
		if (backend->addr.port || backend->tombstone)
			add(words, backend->addr.ip, backend->addr.port, protos[i]);
	}
	for (uint32_t i = 0; i < wanted->n_services && backend->addr.port == 0; i++) {
		const struct wanted_service *service = &wanted->services[i];

		if (service->pool == backend->pool)
			add(words, backend->addr.ip, service->listen.port, service->proto);
	}
}

static uint32_t count_bits(const uint64_t *words)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < LB_ENDS_WORDS; i++)
		count += (uint32_t)__builtin_popcountll(words[i]);
	return count;
}

int sync_ends_write(struct sync *sync, const struct wanted *wanted)
{
	uint64_t *words = calloc(LB_ENDS_WORDS, sizeof(*words));
	uint32_t needed;
	int rc;

	if (!words)
		return -ENOMEM;
	for (uint32_t i = 0; i < wanted->n_services; i++)
		add(words, wanted->services[i].listen.ip, wanted->services[i].listen.port,
		    wanted->services[i].proto);
	for (uint32_t i = 0; i < wanted->n_backends; i++)
		add_backend(words, wanted, &wanted->backends[i]);
	needed = count_bits(words);
	if (count_bits(sync->view.ends) < CROWDED + 2 * needed) {
		for (uint32_t i = 0; i < LB_ENDS_WORDS; i++)
			words[i] |= sync->view.ends[i];
	}
	rc = memcmp(words, sync->view.ends, LB_ENDS_WORDS * sizeof(*words)) == 0
		     ? 0
		     : sync->ops->ends(sync->ctx, words);
	free(words);
	return rc;
}
