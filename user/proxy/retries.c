/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "proxy/retries.h"

#include <errno.h>

void retries_init(struct retries *retries, const struct pool_spec *pool)
{
	retries->n_tried = 0;
	retries->left = (uint8_t)pool->retries.attempts;
	retries->on = (uint8_t)pool->retries.on;
}

static bool was_tried(const struct retries *retries, uint16_t id)
{
	for (uint32_t i = 0; i < retries->n_tried; i++)
		if (retries->tried[i] == id)
			return true;
	return false;
}

/* All have failed this one: but for the last, they have their turns again, so that it comes round
 * to one that has recovered meanwhile instead of trying the emptiest, the dead, for ever. */
static void start_over(struct retries *retries, const struct view *view)
{
	for (uint32_t i = 0; i < view->count; i++)
		if (!was_tried(retries, view->members[i].id))
			return;
	retries->tried[0] = retries->tried[retries->n_tried - 1];
	retries->n_tried = 1;
}

struct admission_ask retries_ask(struct retries *retries, const struct snapshot_pool *pool,
				 const struct pick_key *key)
{
	if (retries->n_tried > 0)
		start_over(retries, pool->balancer->view);
	return (struct admission_ask){
		.pool = pool, .key = key, .tried = retries->tried, .n_tried = retries->n_tried};
}

bool retries_allow(const struct retries *retries, enum retry_on cause)
{
	return retries->left > 0 && retries->on & 1U << cause;
}

bool retries_lost(struct retries *retries, uint16_t backend, enum retry_on cause)
{
	bool again = retries_allow(retries, cause);

	if (retries->n_tried < RETRIES_MAX_TRIES)
		retries->tried[retries->n_tried++] = backend;
	retries->left -= again;
	return again;
}

const char *retries_connect_word(int err)
{
	switch (err) {
	case -ECONNREFUSED:
		return "connect_refused";
	case -ETIMEDOUT:
		return "connect_timeout";
	case -ENETUNREACH:
	case -EHOSTUNREACH:
		return "connect_unreachable";
	case -EMFILE:
	case -ENFILE:
		return "no_descriptors";
	case -EADDRNOTAVAIL:
		return "no_local_port";
	case -ENOMEM:
	case -ENOBUFS:
		return "no_memory";
	default:
		return "connect_failed";
	}
}

bool retries_is_own_want(int err)
{
	return err == -EMFILE || err == -ENFILE || err == -EADDRNOTAVAIL || err == -ENOMEM ||
	       err == -ENOBUFS;
}
