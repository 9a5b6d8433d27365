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

static int compare(const void *a, const void *b)
{
	const struct prefix_entry *one = a;
	const struct prefix_entry *two = b;

	return memcmp(&one->key, &two->key, sizeof(one->key));
}

static const struct prefix_entry *find(const struct prefix_entry *entries, uint32_t count,
				       const struct prefix_entry *like)
{
	return count ? bsearch(like, entries, count, sizeof(*like), compare) : NULL;
}

int sync_prefixes_of(const struct wanted *wanted, struct prefix_entry **ret_entries)
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
	qsort(entries, wanted->n_prefixes, sizeof(*entries), compare);
	*ret_entries = entries;
	return 0;
}

int sync_prefixes_load(struct sync *sync)
{
	struct prefix_entry *entries = calloc(LB_MAX_PREFIXES + 1, sizeof(*entries));
	uint32_t count = 0;
	int rc = entries ? 0 : -ENOMEM;

	while (rc == 0 && count < LB_MAX_PREFIXES) {
		rc = sync->ops->prefix_next(sync->ctx, count ? &entries[count - 1].key : NULL,
					    &entries[count].key, &entries[count].value);
		if (rc == 0)
			count++;
	}
	if (rc && rc != -ENOENT) {
		free(entries);
		return rc;
	}
	qsort(entries, count, sizeof(*entries), compare);
	free(sync->prefixes);
	sync->prefixes = entries;
	sync->n_prefixes = count;
	return 0;
}

int sync_prefixes_write(struct sync *sync, const struct prefix_entry *entries, uint32_t count)
{
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < count; i++) {
		const struct prefix_entry *there =
			find(sync->prefixes, sync->n_prefixes, &entries[i]);

		if (!there || there->value != entries[i].value)
			rc = sync->ops->prefix_put(sync->ctx, &entries[i].key, entries[i].value);
	}
	return rc;
}

int sync_prefixes_remove(struct sync *sync, const struct prefix_entry *entries, uint32_t count)
{
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < sync->n_prefixes; i++) {
		if (find(entries, count, &sync->prefixes[i]))
			continue;
		rc = sync->ops->prefix_delete(sync->ctx, &sync->prefixes[i].key);
		if (rc == -ENOENT)
			rc = 0;
	}
	return rc;
}
