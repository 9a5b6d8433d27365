/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/sync_parts.h"

#define NS_PER_MS 1000000

_Static_assert(offsetof(struct service_entry, value) == sizeof(struct lb_service_key),
	       "the value is right behind the key");

static int next(struct sync *sync, const void *prev, void *ret_row)
{
	struct service_entry *row = ret_row;

	return sync->ops->service_next(sync->ctx,
				       prev ? &((const struct service_entry *)prev)->key : NULL,
				       &row->key, &row->value);
}

static bool has_id(const struct sync *sync, uint32_t id)
{
	const struct service_entry *entries = sync->services.rows;

	for (uint32_t i = 0; i < sync->services.count; i++) {
		if (entries[i].value.id == id)
			return true;
	}
	return false;
}

static int put(struct sync *sync, const void *row)
{
	const struct service_entry *entry = row;
	int rc = 0;

	if (entry->value.id && !has_id(sync, entry->value.id))
		rc = sync->ops->service_clear_stats(sync->ctx, entry->value.id);
	return rc ? rc : sync->ops->service_put(sync->ctx, &entry->key, &entry->value);
}

static int take_out(struct sync *sync, const void *row)
{
	return sync->ops->service_delete(sync->ctx, &((const struct service_entry *)row)->key);
}

const struct keyed_ops service_ops = {
	.row_size = sizeof(struct service_entry),
	.key_size = sizeof(struct lb_service_key),
	.value_size = sizeof(struct lb_service),
	.most = LB_MAX_LISTENERS,
	.next = next,
	.put = put,
	.remove = take_out,
};

/* ---- What is wanted ------------------------------------------------------------------------ */

/* At least one tick, so that a rate is never without limit by rounding. */
static uint32_t ticks_of(const struct sync *sync, uint32_t ms)
{
	uint64_t ticks = sync->tick_ns ? (uint64_t)ms * NS_PER_MS / sync->tick_ns : ms;

	return ticks ? (uint32_t)ticks : 1;
}

static void rate_of(const struct sync *sync, const struct wanted_service *wanted,
		    struct lb_service *value)
{
	if (wanted->rate_new == 0)
		return;
	value->rate_new = wanted->rate_new;
	value->rate_ticks = ticks_of(sync, wanted->rate_ms);
	value->rate_bits4 = wanted->rate_bits4;
	value->rate_bits6 = wanted->rate_bits6;
}

static void entry_of(const struct sync *sync, const struct wanted_service *wanted,
		     struct service_entry *entry)
{
	memset(entry, 0, sizeof(*entry));
	memcpy(entry->key.addr.b, wanted->listen.ip, sizeof(entry->key.addr.b));
	entry->key.port = wanted->listen.port;
	entry->key.proto = wanted->proto;
	entry->value.id = wanted->id;
	entry->value.pool = wanted->pool;
	entry->value.flags = wanted->flags;
	entry->value.forward = wanted->forward;
	entry->value.n_snat = (uint16_t)wanted->n_snat;
	rate_of(sync, wanted, &entry->value);
	memcpy(entry->value.name, wanted->name, sizeof(entry->value.name) - 1);
}

/* The address itself, which answers echo: one entry however many services share it. */
static void address_of(const struct wanted_service *wanted, struct service_entry *entry)
{
	memset(entry, 0, sizeof(*entry));
	memcpy(entry->key.addr.b, wanted->listen.ip, sizeof(entry->key.addr.b));
	entry->key.proto = LB_PROTO_ICMP;
}

static int refuse_twins(const struct service_entry *a, const struct service_entry *b,
			struct error *err)
{
	return error_set(err, -EINVAL, "services",
			 "services '%s' and '%s' have the same address, port and protocol",
			 a->value.name, b->value.name);
}

/* Sorts, and leaves one of equal addresses. -EINVAL: two services are equal. */
static int sort_entries(struct service_entry *entries, uint32_t *count, struct error *err)
{
	uint32_t kept = 0;

	keyed_sort(&service_ops, entries, *count);
	for (uint32_t i = 0; i < *count; i++) {
		bool twin = kept && memcmp(&entries[kept - 1].key, &entries[i].key,
					   sizeof(entries[i].key)) == 0;

		if (twin && entries[i].value.id)
			return refuse_twins(&entries[kept - 1], &entries[i], err);
		if (!twin)
			entries[kept++] = entries[i];
	}
	*count = kept;
	return 0;
}

int sync_services_of(struct sync *sync, const struct wanted *wanted, struct keyed *ret_list,
		     struct error *err)
{
	struct service_entry *entries = calloc(2 * wanted->n_services + 1, sizeof(*entries));
	uint32_t count = 0;
	int rc = 0;

	if (!entries)
		return error_set(err, -ENOMEM, "", "out of memory");
	for (uint32_t i = 0; rc == 0 && i < wanted->n_services; i++) {
		const struct wanted_service *service = &wanted->services[i];
		struct service_entry *entry = &entries[count++];

		entry_of(sync, service, entry);
		rc = sync_snat_rows(sync, service, &entry->value.snat, err);
		address_of(service, &entries[count++]);
	}
	if (rc == 0)
		rc = sort_entries(entries, &count, err);
	for (uint32_t i = 0; rc == 0 && i < count; i++)
		rc = sync_vip_row(sync, &entries[i].key.addr, &entries[i].value.vip, err);
	if (rc) {
		free(entries);
		return rc;
	}
	*ret_list = (struct keyed){.rows = entries, .count = count};
	return 0;
}
