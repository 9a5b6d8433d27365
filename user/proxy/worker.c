/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "proxy/worker.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "base/log.h"
#include "proxy/exchange.h"
#include "proxy/listener.h"
#include "proxy/session.h"

/* ---- Epochs -------------------------------------------------------------------------------- */

/*
 * The publisher stores current, then epoch, then looks at the workers; a worker stores its epoch,
 * then loads current. All are sequentially consistent, so either the publisher sees a worker that
 * may hold the old snapshot, or the worker sees the new one.
 */
static void before_wait(void *ctx)
{
	struct worker *worker = ctx;

	atomic_store(&worker->epoch, WORKER_IDLE);
}

static void after_wait(void *ctx)
{
	struct worker *worker = ctx;

	atomic_store(&worker->epoch, atomic_load(&worker->shared->epoch));
}

bool worker_passed(const struct worker *worker, uint64_t epoch)
{
	return !worker->running || atomic_load(&worker->epoch) >= epoch;
}

/* ---- Sessions ------------------------------------------------------------------------------ */

static void say_drained(struct worker *worker)
{
	if (!worker->draining || worker->drained_said || !list_empty(&worker->sessions))
		return;
	worker->drained_said = true;
	timer_stop(worker->loop, &worker->drain_timer);
	worker->on_drained(worker);
}

void worker_session_added(struct worker *worker, struct session *session)
{
	list_append(&worker->sessions, &session->node);
}

void worker_session_gone(struct worker *worker, struct session *session)
{
	list_remove(&session->node);
	say_drained(worker);
}

static void abort_sessions(struct worker *worker)
{
	list_for_each_safe (node, &worker->sessions) {
		struct session *session = container_of(node, struct session, node);

		session->ops->abort(session);
	}
}

static void close_listeners(struct worker *worker)
{
	list_for_each_safe (node, &worker->listeners)
		listener_close(container_of(node, struct listener, node));
}

static void on_drain_timer(struct timer *timer)
{
	struct worker *worker = container_of(timer, struct worker, drain_timer);

	abort_sessions(worker);
	say_drained(worker);
}

void worker_drain(struct worker *worker, uint32_t deadline_ms)
{
	if (worker->draining)
		return;
	timer_start(worker->loop, &worker->drain_timer, deadline_ms);
	close_listeners(worker); /* retires their sessions, serves those in the queue */
	worker->draining = true;
	list_for_each_safe (node, &worker->sessions) {
		struct session *session = container_of(node, struct session, node);

		session->ops->retire(session);
	}
	upstream_pool_fini(&worker->upstreams);
	say_drained(worker);
}

/* ---- Log ----------------------------------------------------------------------------------- */

bool worker_may_log(struct worker *worker)
{
	uint64_t second = loop_now_ms(worker->loop) / 1000;

	if (second != worker->log_second) {
		if (worker->unlogged > 0)
			log_warning("%u more failures were not logged", worker->unlogged);
		worker->log_second = second;
		worker->logged = 0;
		worker->unlogged = 0;
	}
	if (worker->logged < WORKER_LOG_PER_SECOND) {
		worker->logged++;
		return true;
	}
	worker->unlogged++;
	return false;
}

const char *worker_service_name(const struct worker *worker, uint32_t service_id)
{
	const struct snapshot *snapshot = worker_snapshot(worker);
	const struct snapshot_service *service =
		snapshot ? snapshot_find(snapshot, service_id) : NULL;

	return service ? service->spec->name : "?";
}

const char *worker_pool_name(const struct worker *worker, uint32_t pool_id)
{
	const struct snapshot *snapshot = worker_snapshot(worker);
	const struct snapshot_pool *pool = snapshot ? snapshot_pool(snapshot, pool_id) : NULL;

	return pool ? pool->spec->name : "?";
}

/* ---- Thread -------------------------------------------------------------------------------- */

static void *run(void *ctx)
{
	struct worker *worker = ctx;
	int err = loop_run(worker->loop);

	if (err < 0)
		log_error("worker ended: %s", strerror(-err));
	atomic_store(&worker->epoch, WORKER_IDLE);
	return NULL;
}

/* Signals are the control thread's. */
static int start_thread(struct worker *worker)
{
	sigset_t all, before;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&worker->thread, NULL, run, worker);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -err;
}

int worker_start(struct worker *worker)
{
	int err = loop_new(&worker->loop);

	if (err < 0)
		return err;
	list_init(&worker->listeners);
	list_init(&worker->sessions);
	upstream_pool_init(&worker->upstreams, worker->loop);
	timer_init(&worker->drain_timer, on_drain_timer);
	loop_on_wait(worker->loop, before_wait, after_wait, worker);
	atomic_store(&worker->epoch, WORKER_IDLE);
	worker->reserve_fd = listener_reserve();
	err = start_thread(worker);
	worker->running = err == 0;
	return err;
}

struct stop {
	struct mail mail;
	struct worker *worker;
};

static void on_stop(struct mail *mail)
{
	struct worker *worker = container_of(mail, struct stop, mail)->worker;

	abort_sessions(worker);
	close_listeners(worker);
	abort_sessions(worker); /* those that were in a listener's queue */
	upstream_pool_fini(&worker->upstreams);
	timer_stop(worker->loop, &worker->drain_timer);
	loop_stop(worker->loop);
}

void worker_stop(struct worker *worker)
{
	struct stop stop = {.mail.on_mail = on_stop, .worker = worker};

	if (!worker->loop)
		return;
	if (worker->running) {
		loop_send(worker->loop, &stop.mail);
		pthread_join(worker->thread, NULL);
		worker->running = false;
	}
	exchanges_fini(worker);
	buffer_pool_fini(&worker->buffers);
	if (worker->reserve_fd >= 0)
		close(worker->reserve_fd);
	loop_free(worker->loop);
	worker->loop = NULL;
}
