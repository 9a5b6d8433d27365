/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "daemon/ids.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int ids_init(struct ids *ids, uint32_t size)
{
	*ids = (struct ids){.size = size, .names = calloc(size, sizeof(*ids->names))};
	return ids->names ? 0 : -ENOMEM;
}

void ids_fini(struct ids *ids)
{
	free(ids->names);
	*ids = (struct ids){0};
}

void ids_adopt(struct ids *ids, uint32_t id, const char *name)
{
	if (id == 0 || id >= ids->size)
		return;
	(void)snprintf(ids->names[id], IDS_NAME_LEN, "%s", name);
	if (id > ids->last)
		ids->last = id;
}

static uint32_t find(const struct ids *ids, const char *name)
{
	for (uint32_t id = 1; id < ids->size; id++) {
		if (strcmp(ids->names[id], name) == 0)
			return id;
	}
	return 0;
}

uint32_t ids_find(const struct ids *ids, const char *name)
{
	return *name ? find(ids, name) : 0;
}

uint32_t ids_take(struct ids *ids, const char *name)
{
	uint32_t id = find(ids, name);

	if (id)
		return id;
	for (uint32_t step = 1; step < ids->size; step++) {
		id = 1 + (ids->last + step - 1) % (ids->size - 1);
		if (ids->names[id][0])
			continue;
		ids_adopt(ids, id, name);
		ids->last = id;
		return id;
	}
	return 0;
}

void ids_release(struct ids *ids, uint32_t id)
{
	if (id < ids->size)
		ids->names[id][0] = '\0';
}

const char *ids_name(const struct ids *ids, uint32_t id)
{
	return id < ids->size ? ids->names[id] : "";
}
