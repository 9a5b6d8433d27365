/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "proxy/worker.h"

#include <errno.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "observe/log_writer.h"
#include "proxy/exchange.h"
#include "proxy/last_error.h"
#include "proxy/listener.h"
#include "proxy/record.h"
#include "proxy/session.h"
#include "proxy/sources.h"

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
	atomic_store(&worker->drained, worker->draining && list_empty(&worker->sessions));
}

void worker_session_added(struct worker *worker, struct session *session)
{
	list_append(&worker->sessions, &session->node);
	limits_count(worker, session->service_id);
	if (worker->draining)
		say_drained(worker);
}

void worker_session_gone(struct worker *worker, struct session *session)
{
	list_remove(&session->node);
	if (session->of_source)
		sources_leave(worker->shared->sources, session->service_id, &session->peer);
	limits_give_back(worker, session->service_id);
	if (worker->draining)
		say_drained(worker);
}

static void abort_sessions(struct worker *worker)
{
	list_for_each_safe (node, &worker->sessions) {
		struct session *session = container_of(node, struct session, node);

		session->ops->abort(session);
	}
}

/* ---- Visits -------------------------------------------------------------------------------- */

struct visit {
	struct mail mail;
	struct worker *worker;
	void (*fn)(struct worker *worker, void *ctx);
	void *ctx;
	sem_t done;
};

static void on_visit(struct mail *mail)
{
	struct visit *visit = container_of(mail, struct visit, mail);

	visit->fn(visit->worker, visit->ctx);
	sem_post(&visit->done);
}

void worker_visit(struct worker *worker, void (*fn)(struct worker *worker, void *ctx), void *ctx)
{
	struct visit visit = {.mail.on_mail = on_visit, .worker = worker, .fn = fn, .ctx = ctx};

	sem_init(&visit.done, 0, 0);
	loop_send(worker->loop, &visit.mail);
	while (sem_wait(&visit.done) < 0 && errno == EINTR)
		;
	sem_destroy(&visit.done);
}

/* ---- Drains -------------------------------------------------------------------------------- */

static void end_drain(struct drain *drain)
{
	timer_stop(drain->worker->loop, &drain->timer);
	list_remove(&drain->node);
	free(drain);
}

static void on_deadline(struct timer *timer)
{
	struct drain *drain = container_of(timer, struct drain, timer);

	list_for_each_safe (node, &drain->worker->sessions) {
		struct session *session = container_of(node, struct session, node);

		if (session->listener == drain->serial)
			session->ops->abort(session);
	}
	end_drain(drain);
}

struct end {
	uint64_t serial;
	uint32_t deadline_ms;
	bool leaving;
};

static void begin_drain(struct worker *worker, void *ctx)
{
	const struct end *end = ctx;
	struct drain *drain = calloc(1, sizeof(*drain));

	list_for_each_safe (node, &worker->sessions) {
		struct session *session = container_of(node, struct session, node);

		if (session->listener == end->serial)
			session->ops->retire(session);
	}
	if (!drain)
		return; /* they end by themselves, only without a deadline */
	drain->worker = worker;
	drain->serial = end->serial;
	drain->leaving = end->leaving;
	timer_init(&drain->timer, on_deadline);
	timer_start(worker->loop, &drain->timer, end->deadline_ms);
	list_append(&worker->drains, &drain->node);
}

void workers_end(struct worker *const *workers, uint64_t serial, uint32_t deadline_ms)
{
	struct end end = {.serial = serial, .deadline_ms = deadline_ms};

	for (uint32_t i = 0; i < PROXY_MAX_WORKERS; i++)
		if (workers[i])
			worker_visit(workers[i], begin_drain, &end);
}

void worker_end(struct worker *worker, uint64_t serial, uint32_t deadline_ms)
{
	struct end end = {.serial = serial, .deadline_ms = deadline_ms, .leaving = true};

	worker_visit(worker, begin_drain, &end);
}

static void leave(struct worker *worker, void *ctx)
{
	(void)ctx;
	worker->draining = true;
	upstream_pool_fini(&worker->upstreams);
	say_drained(worker);
}

void worker_leave(struct worker *worker)
{
	worker_visit(worker, leave, NULL);
}

/* Who was told that the connection ends still ends. */
static void stay(struct worker *worker, void *ctx)
{
	(void)ctx;
	worker->draining = false;
	say_drained(worker);
	list_for_each_safe (node, &worker->drains) {
		struct drain *drain = container_of(node, struct drain, node);

		if (drain->leaving)
			end_drain(drain);
	}
}

void worker_stay(struct worker *worker)
{
	worker_visit(worker, stay, NULL);
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
	list_init(&worker->sessions);
	list_init(&worker->drains);
	limits_join(worker);
	list_init(&worker->errors);
	upstream_pool_init(&worker->upstreams, worker->loop);
	loop_on_wait(worker->loop, before_wait, after_wait, worker);
	atomic_store(&worker->epoch, WORKER_IDLE);
	worker->reserve_fd = listener_reserve();
	worker->log_ring = log_writer_ring();
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
	list_for_each_safe (node, &worker->drains)
		end_drain(container_of(node, struct drain, node));
	upstream_pool_fini(&worker->upstreams);
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
	limits_leave(worker);
	exchanges_fini(worker);
	records_fini(worker);
	last_errors_fini(worker);
	log_writer_ring_closed(worker->log_ring);
	buffer_pool_fini(&worker->buffers);
	if (worker->reserve_fd >= 0)
		close(worker->reserve_fd);
	loop_free(worker->loop);
	worker->loop = NULL;
}
