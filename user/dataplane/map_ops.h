/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The few ways in which sync changes the maps.
 *
 * For: sync, so that it runs against the kernel's maps (kernel_map_ops) and against a fake in
 * tests. Owns: nothing. May know: include/lb. Every writing operation is one step that a crash can
 * follow. 0 or -errno.
 */
#ifndef DATAPLANE_MAP_OPS_H
#define DATAPLANE_MAP_OPS_H

#include <stdint.h>

#include "lb/abi.h"

struct map_ops {
	int (*backend_flags)(void *ctx, uint16_t id, uint32_t flags);
	/* Everything but the flags. */
	int (*backend_body)(void *ctx, uint16_t id, const struct lb_backend *body);
	int (*slots)(void *ctx, uint32_t offset, const uint16_t *ids, uint32_t count);
	int (*pool_table)(void *ctx, uint32_t id, uint64_t table);
	/* Everything but the table, and but <next>, which BPF writes. */
	int (*pool_body)(void *ctx, uint32_t id, const struct lb_pool *body);
	int (*service_put)(void *ctx, const struct lb_service_key *key,
			   const struct lb_service *value);
	int (*service_delete)(void *ctx, const struct lb_service_key *key);
	/* Bits of lb_ends, LB_ENDS_WORDS words. */
	int (*ends)(void *ctx, const uint64_t *words);
	/* A row that no flow names. */
	int (*snat_put)(void *ctx, uint32_t row, const struct lb_snat *value);
	/* A row that is all 0. */
	int (*vip_put)(void *ctx, uint32_t row, const struct lb_ip *addr);
	/* Ours on the way to <addr>: all 0 if there is no way. */
	int (*source)(void *ctx, const struct lb_ip *addr, struct lb_ip *ret_source);
	int (*prefix_put)(void *ctx, const struct lb_prefix_key *key, uint32_t value);
	int (*prefix_delete)(void *ctx, const struct lb_prefix_key *key);
	/* As service_next. */
	int (*prefix_next)(void *ctx, const struct lb_prefix_key *prev,
			   struct lb_prefix_key *ret_key, uint32_t *ret_value);
	/* Counters of an id that is given to somebody new. */
	int (*backend_clear_stats)(void *ctx, uint16_t id);
	int (*service_clear_stats)(void *ctx, uint32_t id);

	/* The entry after <prev> (NULL: the first); -ENOENT after the last. */
	int (*service_next)(void *ctx, const struct lb_service_key *prev,
			    struct lb_service_key *ret_key, struct lb_service *ret_value);
	uint64_t (*now_ms)(void *ctx);
	void (*wait_ms)(void *ctx, uint32_t ms);
};

/* The mmapped arrays, for reading; written through the operations only. */
struct map_view {
	const struct lb_backend *backends; /* LB_MAX_BACKENDS */
	const struct lb_pool *pools;	   /* LB_MAX_POOLS */
	const struct lb_slot_line *slots;  /* LB_MAX_SLOTS / 4 */
	const uint64_t *ends;		   /* LB_ENDS_WORDS */
	const struct lb_snat *snat;	   /* LB_MAX_SNAT */
	const struct lb_ip *vips;	   /* LB_MAX_VIPS */
};

#endif
