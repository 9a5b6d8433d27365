/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "algorithm/algorithm.h"

#include <string.h>

#include "algorithm/registry.h"
#include "algorithm/spec.h"

/* Adding an algorithm: its file, its line in algorithm/registry.h, and its line here. */
static const struct algorithm_ops *const algorithms[] = {
	&round_robin_ops, &weighted_round_robin_ops, &least_connections_ops, &maglev_ops,
	&source_hash_ops, &random_two_ops,	     &least_latency_ops,
};

#define N_ALGORITHMS (sizeof(algorithms) / sizeof(algorithms[0]))

const struct algorithm_ops *algorithm_create(const char *name)
{
	for (size_t i = 0; i < N_ALGORITHMS; i++) {
		if (strcmp(algorithms[i]->name, name) == 0)
			return algorithms[i];
	}
	return NULL;
}

bool algorithm_exists(const char *name)
{
	return algorithm_create(name) != NULL;
}

const char *algorithm_name(unsigned i)
{
	return i < N_ALGORITHMS ? algorithms[i]->name : NULL;
}
