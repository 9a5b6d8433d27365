/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How a pool deals with too much work and with failing backends: queue, retries, passive. */
#include <stdlib.h>
#include <string.h>

#include "config/objects.h"

#define HOUR_MS	     3600000
#define MAX_FAILURES 1000

void pool_overload_defaults(struct pool_spec *pool)
{
	pool->queue = (struct queue_spec){.size = 1000, .timeout_ms = 5000};
	pool->retries =
		(struct retry_spec){.attempts = 2, .on = 1U << RETRY_CONNECT | 1U << RETRY_CLOSED};
}

static const struct key queue_keys[] = {
	{"size", KEY_NUMBER, offsetof(struct queue_spec, size), 0, POOL_MAX_QUEUE, NULL, NULL},
	{"timeout", KEY_DURATION, offsetof(struct queue_spec, timeout_ms), 1, HOUR_MS, NULL, NULL},
};

void read_queue(struct build *build, const struct place *place, void *out)
{
	keys_read(build, place, queue_keys, COUNT(queue_keys), out);
}

static void read_cause(struct build *build, const struct place *place, uint32_t *on)
{
	int value;

	if (!expect_kind(build, place, DOC_SCALAR))
		return;
	value = strtable_value(&retry_on_names, slice_of(place->doc->text));
	if (value < 0)
		complain(build, place,
			 "'on: %.32s' is unknown: must be of connect, closed, timeout, 502, 503 "
			 "and 504",
			 place->doc->text);
	else
		*on |= 1U << value;
}

static void read_causes(struct build *build, const struct place *place, void *out)
{
	uint32_t on = 0;

	if (!expect_kind(build, place, DOC_LIST))
		return;
	for (const struct doc *child = place->doc->first; child; child = child->next) {
		struct place at = place_child(place, child, "cause");

		read_cause(build, &at, &on);
	}
	*(uint32_t *)out = on;
}

static const struct key retry_keys[] = {
	{"attempts", KEY_NUMBER, offsetof(struct retry_spec, attempts), 0, POOL_MAX_RETRIES, NULL,
	 NULL},
	{"on", KEY_OBJECT, offsetof(struct retry_spec, on), 0, 0, NULL, read_causes},
};

void read_retries(struct build *build, const struct place *place, void *out)
{
	keys_read(build, place, retry_keys, COUNT(retry_keys), out);
}

static const struct key passive_keys[] = {
	{"failures", KEY_NUMBER, offsetof(struct passive_spec, failures), 1, MAX_FAILURES, NULL,
	 NULL},
	{"window", KEY_DURATION, offsetof(struct passive_spec, window_ms), 100, HOUR_MS, NULL,
	 NULL},
};

void read_passive(struct build *build, const struct place *place, void *out)
{
	struct passive_spec *passive = out;

	*passive = (struct passive_spec){.failures = 5, .window_ms = 10000};
	keys_read(build, place, passive_keys, COUNT(passive_keys), passive);
}
