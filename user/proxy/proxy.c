/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "proxy/proxy.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "proxy/admission.h"
#include "proxy/reporter.h"
#include "proxy/sources.h"
#include "proxy/state.h"

#define RECLAIM_MS 20 /* how often retired snapshots are looked at */

/* ---- Snapshots ----------------------------------------------------------------------------- */

static bool all_passed(const struct proxy *proxy, uint64_t epoch)
{
	for (uint32_t i = 0; i < PROXY_MAX_WORKERS; i++)
		if (proxy->workers[i] && !worker_passed(proxy->workers[i], epoch))
			return false;
	return true;
}

static void reclaim(struct proxy *proxy)
{
	struct snapshot **at = &proxy->retired;

	while (*at) {
		struct snapshot *snapshot = *at;

		if (!all_passed(proxy, snapshot->epoch)) {
			at = &snapshot->next_retired;
			continue;
		}
		*at = snapshot->next_retired;
		snapshot_free(snapshot);
	}
	if (proxy->retired)
		timer_start(proxy->loop, &proxy->reclaim, RECLAIM_MS);
}

static void on_reclaim(struct timer *timer)
{
	reclaim(container_of(timer, struct proxy, reclaim));
}

/* Its requests in flight go on. */
static void close_barred(struct worker *worker, void *ctx)
{
	(void)ctx;
	upstream_pool_close_barred(worker);
}

void proxy_publish(struct proxy *proxy, struct snapshot *snapshot)
{
	uint64_t epoch = atomic_load(&proxy->shared.epoch) + 1;
	struct snapshot *old;

	snapshot->epoch = epoch;
	if (admission_prepare(proxy->shared.admission, snapshot) < 0)
		log_error("cannot make the queue of a pool: out of memory");
	old = atomic_exchange(&proxy->shared.current, snapshot);
	atomic_store(&proxy->shared.epoch, epoch);
	admission_renew(proxy->shared.admission, snapshot);
	if (admission_bar(proxy->shared.admission, old, snapshot))
		proxy_visit(proxy, close_barred, NULL);
	limits_changed(proxy->shared.limits);
	if (!old)
		return;
	old->epoch = epoch; /* workers that have seen this epoch cannot hold the old one */
	old->next_retired = proxy->retired;
	proxy->retired = old;
	reclaim(proxy);
}

/* ---- Counts -------------------------------------------------------------------------------- */

static bool make_row(struct service_counts **row)
{
	if (*row)
		return true;
	*row = aligned_alloc(_Alignof(struct service_counts), sizeof(**row));
	if (*row)
		memset(*row, 0, sizeof(**row));
	return *row != NULL;
}

static struct count_rows *rows_of(struct proxy *proxy, uint32_t service_id)
{
	if (service_id >= LB_MAX_SERVICES)
		return NULL;
	if (!proxy->counts[service_id])
		proxy->counts[service_id] = calloc(1, sizeof(*proxy->counts[service_id]));
	return proxy->counts[service_id];
}

bool counts_make(struct proxy *proxy, uint32_t service_id, uint32_t n)
{
	struct count_rows *rows = rows_of(proxy, service_id);

	if (!rows)
		return false;
	for (uint32_t i = 0; i < n; i++)
		if (!make_row(&rows->of[i]))
			return false;
	return true;
}

static void free_counts(struct proxy *proxy)
{
	for (uint32_t id = 0; id < LB_MAX_SERVICES; id++) {
		struct count_rows *rows = proxy->counts[id];

		for (uint32_t i = 0; rows && i < PROXY_MAX_WORKERS; i++)
			free(rows->of[i]);
		free(rows);
	}
}

static void add_counts(struct proxy_stats *sum, const struct service_counts *counts)
{
	sum->opened += count_read(&counts->opened);
	sum->closed += count_read(&counts->closed);
	sum->requests += count_read(&counts->requests);
	sum->bytes_in += count_read(&counts->bytes_in);
	sum->bytes_out += count_read(&counts->bytes_out);
	for (int i = 0; i < 6; i++)
		sum->status[i] += count_read(&counts->status[i]);
	sum->bad_headers += count_read(&counts->bad_headers);
	sum->refused += count_read(&counts->refused);
	sum->no_room += count_read(&counts->no_room);
}

static void sum_rows(const struct count_rows *rows, struct proxy_stats *sum)
{
	for (uint32_t i = 0; rows && i < PROXY_MAX_WORKERS; i++)
		if (rows->of[i])
			add_counts(sum, rows->of[i]);
}

void proxy_stats_own(struct proxy *proxy, uint32_t service_id, struct proxy_stats *ret_stats)
{
	*ret_stats = (struct proxy_stats){0};
	if (service_id < LB_MAX_SERVICES)
		sum_rows(proxy->counts[service_id], ret_stats);
}

void proxy_stats(struct proxy *proxy, uint32_t service_id, struct proxy_stats *ret_stats)
{
	const struct count_rows *rows =
		service_id < LB_MAX_SERVICES ? proxy->counts[service_id] : NULL;

	*ret_stats = rows ? rows->before : (struct proxy_stats){0};
	sum_rows(rows, ret_stats);
}

void proxy_limit(struct proxy *proxy, uint32_t max_connections)
{
	limits_set(proxy->shared.limits, max_connections);
}

void proxy_on_report(struct proxy *proxy, void (*fn)(void *ctx, const struct pool_report *report),
		     void *ctx)
{
	reporter_tell(proxy->shared.reporter, fn, ctx);
}

uint64_t proxy_reports_dropped(const struct proxy *proxy)
{
	return reporter_dropped(proxy->shared.reporter);
}

uint32_t proxy_queued(const struct proxy *proxy, uint32_t pool_id)
{
	return admission_waiting(proxy->shared.admission, pool_id);
}

void proxy_stats_before(struct proxy *proxy, uint32_t service_id, const struct proxy_stats *stats)
{
	struct count_rows *rows = rows_of(proxy, service_id);

	if (rows)
		rows->before = *stats;
}

uint64_t proxy_sessions(struct proxy *proxy)
{
	uint64_t open = 0;

	for (uint32_t id = 0; id < LB_MAX_SERVICES; id++) {
		const struct count_rows *rows = proxy->counts[id];

		for (uint32_t i = 0; rows && i < PROXY_MAX_WORKERS; i++)
			if (rows->of[i])
				open += count_read(&rows->of[i]->opened) -
					count_read(&rows->of[i]->closed);
	}
	return open;
}

/* ---- Workers ------------------------------------------------------------------------------- */

void proxy_visit(struct proxy *proxy, void (*fn)(struct worker *worker, void *ctx), void *ctx)
{
	for (uint32_t i = 0; i < PROXY_MAX_WORKERS; i++)
		if (proxy->workers[i])
			worker_visit(proxy->workers[i], fn, ctx);
}

static void free_worker(struct proxy *proxy, uint32_t index)
{
	if (!proxy->workers[index])
		return;
	worker_stop(proxy->workers[index]);
	free(proxy->workers[index]);
	proxy->workers[index] = NULL;
}

static int start_worker(struct proxy *proxy, uint32_t index)
{
	struct worker *worker = calloc(1, sizeof(*worker));
	int err;

	if (!worker)
		return -ENOMEM;
	worker->shared = &proxy->shared;
	worker->index = index;
	proxy->workers[index] = worker;
	err = worker_start(worker);
	if (err < 0)
		free_worker(proxy, index);
	return err;
}

/* From proxy->n_workers up to <n>; those that were leaving come back. */
static int start_workers(struct proxy *proxy, uint32_t n)
{
	for (uint32_t i = proxy->n_workers; i < n; i++) {
		int err = 0;

		if (proxy->workers[i])
			worker_stay(proxy->workers[i]);
		else
			err = start_worker(proxy, i);
		if (err < 0)
			return err;
	}
	return 0;
}

static bool make_all_counts(struct proxy *proxy, uint32_t n)
{
	list_for_each (node, &proxy->bindings) {
		if (!counts_make(proxy, container_of(node, struct binding, node)->service_id, n))
			return false;
	}
	return true;
}

static void leave(struct proxy *proxy, struct worker *worker)
{
	list_for_each (node, &proxy->bindings) {
		struct binding *binding = container_of(node, struct binding, node);

		worker_end(worker, binding->serial, binding_drain_ms(proxy, binding));
	}
	worker_leave(worker);
	settle_soon(proxy);
}

static void leave_above(struct proxy *proxy, uint32_t n)
{
	for (uint32_t i = n; i < PROXY_MAX_WORKERS; i++)
		if (proxy->workers[i] && !proxy->workers[i]->draining)
			leave(proxy, proxy->workers[i]);
}

int proxy_set_workers(struct proxy *proxy, uint32_t workers, struct error *err)
{
	uint32_t before = proxy->n_workers;
	int code = 0;

	if (workers == before || proxy->draining)
		return 0;
	if (workers > PROXY_MAX_WORKERS || !make_all_counts(proxy, workers))
		code = workers > PROXY_MAX_WORKERS ? -EINVAL : -ENOMEM;
	if (code == 0)
		code = start_workers(proxy, workers);
	if (code < 0) {
		leave_above(proxy, before);
		return error_set(err, code, "workers", "cannot start %u workers: %s", workers,
				 strerror(-code));
	}
	proxy->n_workers = workers;
	bindings_spread(proxy);
	leave_above(proxy, workers);
	log_info("%u workers, %u before", workers, before);
	return 0;
}

/* ---- What goes on by itself ----------------------------------------------------------------- */

void settle_soon(struct proxy *proxy)
{
	if (!timer_running(&proxy->settle))
		timer_start(proxy->loop, &proxy->settle, PROXY_SETTLE_MS);
}

/* True when some are still leaving. */
static bool settle_workers(struct proxy *proxy)
{
	bool left = false;

	for (uint32_t i = 0; i < PROXY_MAX_WORKERS; i++) {
		struct worker *worker = proxy->workers[i];
		bool working = !proxy->draining && i < proxy->n_workers;

		if (!worker || working)
			continue;
		if (!atomic_load(&worker->drained))
			left = true;
		else if (i >= proxy->n_workers)
			free_worker(proxy, i);
	}
	return left;
}

static void on_settle(struct timer *timer)
{
	struct proxy *proxy = container_of(timer, struct proxy, settle);
	bool left = bindings_settle(proxy);

	/* Those that are leaving may hold a socket that is closing. */
	left = settle_workers(proxy) || left;
	if (left)
		settle_soon(proxy);
	else if (proxy->draining && proxy->on_drained)
		proxy->on_drained(proxy->drained_ctx);
}

static void begin_drain(struct proxy *proxy, void (*on_drained)(void *ctx), void *ctx)
{
	proxy->draining = true;
	proxy->on_drained = on_drained;
	proxy->drained_ctx = ctx;
}

void proxy_drain(struct proxy *proxy, uint32_t deadline_ms, void (*on_drained)(void *ctx),
		 void *ctx)
{
	if (proxy->draining)
		return;
	proxy->drain_cap_ms = deadline_ms;
	begin_drain(proxy, on_drained, ctx);
	bindings_close_all(proxy);
	leave_above(proxy, 0);
}

void proxy_hand_over(struct proxy *proxy, void (*on_drained)(void *ctx), void *ctx)
{
	if (proxy->draining)
		return;
	proxy->drain_cap_ms = UINT32_MAX;
	begin_drain(proxy, on_drained, ctx);
	bindings_give_up(proxy);
	leave_above(proxy, 0);
}

/* ---- Life ---------------------------------------------------------------------------------- */

static void free_shared(struct proxy_shared *shared)
{
	admission_free(shared->admission);
	reporter_free(shared->reporter);
	limits_free(shared->limits);
	sources_free(shared->sources);
}

int proxy_start(struct loop *loop, uint32_t workers, struct proxy **ret_proxy, struct error *err)
{
	struct proxy *proxy = calloc(1, sizeof(*proxy));
	int code;

	if (!proxy)
		return error_set(err, -ENOMEM, "workers", "cannot start workers: out of memory");
	proxy->loop = loop;
	timer_init(&proxy->reclaim, on_reclaim);
	timer_init(&proxy->settle, on_settle);
	list_init(&proxy->bindings);
	list_init(&proxy->closing);
	list_init(&proxy->inherited);
	if (admission_new(&proxy->shared.admission) < 0 ||
	    reporter_new(loop, &proxy->shared.reporter) < 0 ||
	    limits_new(&proxy->shared.limits) < 0 || sources_new(&proxy->shared.sources) < 0) {
		free_shared(&proxy->shared);
		free(proxy);
		return error_set(err, -ENOMEM, "workers", "cannot start workers: out of memory");
	}
	code = workers > PROXY_MAX_WORKERS ? -EINVAL : start_workers(proxy, workers);
	if (code < 0) {
		proxy_free(proxy);
		return error_set(err, code, "workers", "cannot start %u workers: %s", workers,
				 strerror(-code));
	}
	proxy->n_workers = workers;
	*ret_proxy = proxy;
	return 0;
}

void proxy_free(struct proxy *proxy)
{
	if (!proxy)
		return;
	for (uint32_t i = 0; i < PROXY_MAX_WORKERS; i++)
		free_worker(proxy, i);
	timer_stop(proxy->loop, &proxy->reclaim);
	timer_stop(proxy->loop, &proxy->settle);
	while (proxy->retired) {
		struct snapshot *snapshot = proxy->retired;

		proxy->retired = snapshot->next_retired;
		snapshot_free(snapshot);
	}
	snapshot_free(atomic_load(&proxy->shared.current));
	bindings_free(proxy);
	free_shared(&proxy->shared);
	free_counts(proxy);
	free(proxy);
}
