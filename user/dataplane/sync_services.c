/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/sync_parts.h"

static int compare(const void *a, const void *b)
{
	const struct service_entry *one = a;
	const struct service_entry *two = b;

	return memcmp(&one->key, &two->key, sizeof(one->key));
}

static const struct service_entry *find(const struct service_entry *entries, uint32_t count,
					const struct service_entry *like)
{
	return count ? bsearch(like, entries, count, sizeof(*like), compare) : NULL;
}

static void entry_of(const struct wanted_service *wanted, struct service_entry *entry)
{
	memset(entry, 0, sizeof(*entry));
	memcpy(entry->key.addr.b, wanted->listen.ip, sizeof(entry->key.addr.b));
	entry->key.port = wanted->listen.port;
	entry->key.proto = wanted->proto;
	entry->value.id = wanted->id;
	entry->value.pool = wanted->pool;
	entry->value.forward = wanted->forward;
	memcpy(entry->value.name, wanted->name, sizeof(entry->value.name) - 1);
}

int sync_services_of(const struct wanted *wanted, struct service_entry **ret_entries,
		     struct error *err)
{
	struct service_entry *entries = calloc(wanted->n_services + 1, sizeof(*entries));

	if (!entries)
		return error_set(err, -ENOMEM, "", "out of memory");
	for (uint32_t i = 0; i < wanted->n_services; i++)
		entry_of(&wanted->services[i], &entries[i]);
	qsort(entries, wanted->n_services, sizeof(*entries), compare);
	for (uint32_t i = 1; i < wanted->n_services; i++) {
		if (compare(&entries[i - 1], &entries[i]) != 0)
			continue;
		error_set(err, -EINVAL, "services",
			  "services '%s' and '%s' have the same address, port and protocol",
			  entries[i - 1].value.name, entries[i].value.name);
		free(entries);
		return -EINVAL;
	}
	*ret_entries = entries;
	return 0;
}

int sync_services_load(struct sync *sync)
{
	struct service_entry *entries = calloc(LB_MAX_SERVICES, sizeof(*entries));
	uint32_t count = 0;
	int rc = entries ? 0 : -ENOMEM;

	while (rc == 0 && count < LB_MAX_SERVICES) {
		rc = sync->ops->service_next(sync->ctx, count ? &entries[count - 1].key : NULL,
					     &entries[count].key, &entries[count].value);
		if (rc == 0)
			count++;
	}
	if (rc && rc != -ENOENT) {
		free(entries);
		return rc;
	}
	qsort(entries, count, sizeof(*entries), compare);
	free(sync->services);
	sync->services = entries;
	sync->n_services = count;
	return 0;
}

static bool has_id(const struct sync *sync, uint32_t id)
{
	for (uint32_t i = 0; i < sync->n_services; i++) {
		if (sync->services[i].value.id == id)
			return true;
	}
	return false;
}

static int put(struct sync *sync, const struct service_entry *entry)
{
	int rc = 0;

	if (!has_id(sync, entry->value.id))
		rc = sync->ops->service_clear_stats(sync->ctx, entry->value.id);
	return rc ? rc : sync->ops->service_put(sync->ctx, &entry->key, &entry->value);
}

int sync_services_write(struct sync *sync, const struct service_entry *entries, uint32_t count)
{
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < count; i++) {
		const struct service_entry *there =
			find(sync->services, sync->n_services, &entries[i]);

		if (!there || memcmp(&there->value, &entries[i].value, sizeof(there->value)) != 0)
			rc = put(sync, &entries[i]);
	}
	return rc;
}

int sync_services_remove(struct sync *sync, const struct service_entry *entries, uint32_t count)
{
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < sync->n_services; i++) {
		if (find(entries, count, &sync->services[i]))
			continue;
		rc = sync->ops->service_delete(sync->ctx, &sync->services[i].key);
		if (rc == -ENOENT)
			rc = 0;
	}
	return rc;
}
