/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "proxy/limits.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "proxy/listener.h"
#include "proxy/worker.h"

struct limits {
	_Atomic uint32_t max;
	_Atomic uint32_t open;
	_Atomic uint32_t of[LB_MAX_SERVICES]; /* by service id */
	_Atomic uint32_t n_waiting;
	pthread_mutex_t lock;
	struct list waiting; /* struct limits_waiter */
};

int limits_new(struct limits **ret_limits)
{
	struct limits *limits = calloc(1, sizeof(*limits));

	if (!limits)
		return -ENOMEM;
	pthread_mutex_init(&limits->lock, NULL);
	list_init(&limits->waiting);
	*ret_limits = limits;
	return 0;
}

void limits_free(struct limits *limits)
{
	if (!limits)
		return;
	pthread_mutex_destroy(&limits->lock);
	free(limits);
}

/* ---- Who waits ----------------------------------------------------------------------------- */

static void on_room(struct mail *mail)
{
	struct limits_waiter *waiter = container_of(mail, struct limits_waiter, mail);
	struct worker *worker = container_of(waiter, struct worker, limits);

	/* Before the listeners look: who is listed after this is mailed anew. */
	atomic_store(&waiter->mailed, false);
	list_for_each_safe (node, &waiter->paused) {
		struct listener *listener = container_of(node, struct listener, paused);

		list_remove(node);
		loop_run_again(worker->loop, &listener->source);
	}
}

/* The mail is sent under the lock: who has left gets none. */
static void wake(struct limits *limits)
{
	if (atomic_load(&limits->n_waiting) == 0)
		return;
	pthread_mutex_lock(&limits->lock);
	list_for_each_safe (node, &limits->waiting) {
		struct limits_waiter *waiter = container_of(node, struct limits_waiter, node);
		struct worker *worker = container_of(waiter, struct worker, limits);

		list_remove(node);
		if (!atomic_exchange(&waiter->mailed, true))
			loop_send(worker->loop, &waiter->mail);
	}
	atomic_store(&limits->n_waiting, 0);
	pthread_mutex_unlock(&limits->lock);
}

void limits_join(struct worker *worker)
{
	struct limits_waiter *waiter = &worker->limits;

	list_init(&waiter->paused);
	list_init(&waiter->node);
	waiter->mail.on_mail = on_room;
}

void limits_leave(struct worker *worker)
{
	struct limits *limits = worker->shared->limits;
	struct limits_waiter *waiter = &worker->limits;

	pthread_mutex_lock(&limits->lock);
	if (!list_empty(&waiter->node)) {
		list_remove(&waiter->node);
		atomic_fetch_sub(&limits->n_waiting, 1);
	}
	pthread_mutex_unlock(&limits->lock);
}

void limits_pause(struct worker *worker, struct list *paused)
{
	struct limits *limits = worker->shared->limits;
	struct limits_waiter *waiter = &worker->limits;

	if (list_empty(paused))
		list_append(&waiter->paused, paused);
	pthread_mutex_lock(&limits->lock);
	if (list_empty(&waiter->node)) {
		list_append(&limits->waiting, &waiter->node);
		atomic_fetch_add(&limits->n_waiting, 1);
	}
	pthread_mutex_unlock(&limits->lock);
}

/* ---- Counts -------------------------------------------------------------------------------- */

void limits_set(struct limits *limits, uint32_t max)
{
	atomic_store(&limits->max, max);
	wake(limits);
}

void limits_changed(struct limits *limits)
{
	wake(limits);
}

static bool add_below(_Atomic uint32_t *counter, uint32_t max)
{
	uint32_t n = atomic_load(counter);

	if (max == 0) {
		atomic_fetch_add(counter, 1);
		return true;
	}
	do {
		if (n >= max)
			return false;
	} while (!atomic_compare_exchange_weak(counter, &n, n + 1));
	return true;
}

bool limits_reserve(struct worker *worker, uint32_t service_id, uint32_t service_max)
{
	struct limits *limits = worker->shared->limits;

	if (!add_below(&limits->of[service_id], service_max))
		return false;
	if (add_below(&limits->open, atomic_load(&limits->max)))
		return true;
	/* Who saw the service full meanwhile waits for the limit of all too, and is woken by that.
	 */
	atomic_fetch_sub(&limits->of[service_id], 1);
	return false;
}

const char *limits_full(const struct limits *limits, uint32_t service_id, uint32_t service_max)
{
	uint32_t max = limits->max;

	if (service_max > 0 && limits->of[service_id] >= service_max)
		return "service_full";
	return max > 0 && limits->open >= max ? "connections_full" : NULL;
}

void limits_give_back(struct worker *worker, uint32_t service_id)
{
	struct limits *limits = worker->shared->limits;

	atomic_fetch_sub(&limits->of[service_id], 1);
	atomic_fetch_sub(&limits->open, 1);
	wake(limits);
}

void limits_count(struct worker *worker, uint32_t service_id)
{
	struct limits *limits = worker->shared->limits;

	atomic_fetch_add(&limits->open, 1);
	atomic_fetch_add(&limits->of[service_id], 1);
}
