/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Small numbers for names: pools and services in the maps.
 *
 * For: ids that stay with a name across reload and restart. Owns: the table. Knows: base.
 * A number that was given back is reused last, so that counters and flows under it fade first.
 */
#ifndef DAEMON_IDS_H
#define DAEMON_IDS_H

#include <stdint.h>

#define IDS_NAME_LEN 64

struct ids {
	uint32_t size; /* ids are 1..size - 1 */
	uint32_t last; /* given out most recently */
	char (*names)[IDS_NAME_LEN];
};

int ids_init(struct ids *ids, uint32_t size);
void ids_fini(struct ids *ids); /* zeroed memory is fine */
void ids_adopt(struct ids *ids, uint32_t id, const char *name);
/* The id of <name>, new if need be; 0 when all are taken. */
uint32_t ids_take(struct ids *ids, const char *name);
uint32_t ids_find(const struct ids *ids, const char *name); /* 0: none */
void ids_release(struct ids *ids, uint32_t id);
const char *ids_name(const struct ids *ids, uint32_t id); /* "" for none */

#endif
