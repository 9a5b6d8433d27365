/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a service's configuration means to the kernel, but for its pool.
 *
 * For: project.c. Owns: nothing; the arrays belong to the wanted state. Pure.
 * May know: the specs, dataplane/wanted.h. Must never know: maps, pools.
 */
#ifndef DAEMON_PROJECT_SERVICE_H
#define DAEMON_PROJECT_SERVICE_H

#include "dataplane/wanted.h"
#include "proxy/spec.h"

bool project_in_kernel(const struct service_spec *service);
/* Fills all of <service> but id, listen, pool and name; <listen> is set. 0 or -ENOMEM. */
int project_rules(const struct service_spec *spec, struct wanted_service *service);
/* Who may connect to the service of this id. 0 or -ENOMEM. */
int project_prefixes(const struct service_spec *spec, uint32_t id, struct wanted *wanted);
void project_timeouts(const struct service_spec *spec, struct wanted *wanted);

#endif
