/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "dataplane/wanted.h"

#include <stdlib.h>
#include <string.h>

void wanted_fini(struct wanted *wanted)
{
	if (!wanted)
		return;
	for (uint32_t i = 0; i < wanted->n_pools; i++)
		free(wanted->pools[i].slots);
	for (uint32_t i = 0; i < wanted->n_services; i++)
		free(wanted->services[i].snat);
	free(wanted->services);
	free(wanted->pools);
	free(wanted->backends);
	free(wanted->prefixes);
	memset(wanted, 0, sizeof(*wanted));
}
