/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The steps of a sync, one noun each; sync.c puts them in order.
 *
 * For: sync.c alone. Owns: nothing. Each returns 0 or -errno and may be repeated.
 */
#ifndef DATAPLANE_SYNC_PARTS_H
#define DATAPLANE_SYNC_PARTS_H

#include "dataplane/sync.h"

int sync_backends_load(struct sync *sync);
/* Eligibility of what is in the map already; nobody unwanted stays eligible. */
int sync_backends_flags(struct sync *sync, const struct wanted *wanted);
int sync_backends_write(struct sync *sync, const struct wanted *wanted);
int sync_backends_remove(struct sync *sync, const struct wanted *wanted);

int sync_pools_load(struct sync *sync);
int sync_pools_write(struct sync *sync, const struct wanted *wanted);
int sync_pools_remove(struct sync *sync, const struct wanted *wanted);

/* The two maps that are not memory. */
extern const struct keyed_ops service_ops; /* struct service_entry */
extern const struct keyed_ops prefix_ops;  /* struct prefix_entry */

/*
 * What is wanted, services and their addresses; -EINVAL when two services share a key. Source
 * addresses are in lb_snat and services' own in lb_vips afterwards.
 */
int sync_services_of(struct sync *sync, const struct wanted *wanted, struct keyed *ret_list,
		     struct error *err);
int sync_prefixes_of(const struct wanted *wanted, struct keyed *ret_list);

/* The outer source of a tunnel's backend: <current> if that is known. */
void sync_source_of(const struct sync *sync, const struct lb_ip *current, struct lb_backend *body);
bool sync_source_missing(const struct wanted_backend *wanted, const struct lb_backend *row);
void sync_source_note(struct sync *sync, const struct wanted_backend *wanted);

/* Rows of lb_snat with the service's source addresses, one behind the other; 0: it has none. */
int sync_snat_rows(struct sync *sync, const struct wanted_service *service, uint16_t *ret_first,
		   struct error *err);

/* The row of lb_vips with an address of a service. */
int sync_vip_row(struct sync *sync, const struct lb_ip *addr, uint16_t *ret_row, struct error *err);

/* Adds the bits of what is wanted; takes bits away only when few of those set are wanted. */
int sync_ends_write(struct sync *sync, const struct wanted *wanted);

#endif
