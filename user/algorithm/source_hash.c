/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "algorithm/registry.h"

#include <xxhash.h>

/* The client's address alone, not its port: a client stays with its backend. */
static uint32_t pick(const struct balancer *balancer, const struct pick_key *key)
{
	XXH64_hash_t hash = XXH64(key->client.ip, sizeof(key->client.ip), key->attempt);

	return slot_of(balancer, hash);
}

const struct algorithm_ops source_hash_ops = {
	.name = "source-hash",
	.choice = LB_CHOICE_TABLE_HASH,
	.client_only = true,
	.table = maglev_table,
	.pick = pick,
};
