/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Prefixes are in the map before their service says that it has some, and leave after it says that
 * it has none: nobody is let in or kept out for a moment by half a list.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/sync_parts.h"

#define SERVICE_BITS 32

_Static_assert(offsetof(struct prefix_entry, value) == sizeof(struct lb_prefix_key),
	       "the value is right behind the key");

static int next(struct sync *sync, const void *prev, void *ret_row)
{
	struct prefix_entry *row = ret_row;

	return sync->ops->prefix_next(sync->ctx,
				      prev ? &((const struct prefix_entry *)prev)->key : NULL,
				      &row->key, &row->value);
}

static int put(struct sync *sync, const void *row)
{
	const struct prefix_entry *entry = row;

	return sync->ops->prefix_put(sync->ctx, &entry->key, entry->value);
}

static int take_out(struct sync *sync, const void *row)
{
	return sync->ops->prefix_delete(sync->ctx, &((const struct prefix_entry *)row)->key);
}

const struct keyed_ops prefix_ops = {
	.row_size = sizeof(struct prefix_entry),
	.key_size = sizeof(struct lb_prefix_key),
	.value_size = sizeof(uint32_t),
	.most = LB_MAX_PREFIXES,
	.next = next,
	.put = put,
	.remove = take_out,
};

int sync_prefixes_of(const struct wanted *wanted, struct keyed *ret_list)
{
	struct prefix_entry *entries = calloc(wanted->n_prefixes + 1ULL, sizeof(*entries));

	if (!entries)
		return -ENOMEM;
	for (uint32_t i = 0; i < wanted->n_prefixes; i++) {
		const struct wanted_prefix *from = &wanted->prefixes[i];
		struct prefix_entry *to = &entries[i];

		to->key.bits = SERVICE_BITS + from->prefix.bits;
		to->key.service = htonl(from->service);
		memcpy(to->key.addr.b, from->prefix.ip, sizeof(to->key.addr.b));
		to->value = from->deny ? LB_PREFIX_DENY : LB_PREFIX_ALLOW;
	}
	keyed_sort(&prefix_ops, entries, wanted->n_prefixes);
	*ret_list = (struct keyed){.rows = entries, .count = wanted->n_prefixes};
	return 0;
}
