/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "proxy/attempt.h"

#include "base/log.h"
#include "proxy/admission.h"
#include "proxy/http1_client.h"
#include "proxy/record.h"
#include "proxy/reporter.h"
#include "proxy/sticky.h"

static const struct snapshot_pool *find_pool(const struct exchange *x)
{
	const struct snapshot *snapshot = worker_snapshot(x->worker);

	return snapshot ? snapshot_pool(snapshot, x->pool) : NULL;
}

void attempt_init(struct exchange *x)
{
	const struct snapshot_pool *pool = find_pool(x);

	if (pool)
		retries_init(&x->retries, pool->spec);
}

/* The name outlives the snapshot in the log only, so it is copied; the row outlives everything. */
static void count_opened(struct exchange *x, const struct view_member *member)
{
	x->live = member->live;
	x->backend_id = member->id;
	x->token = member->token;
	memcpy(x->backend, member->name, sizeof(x->backend));
	live_add(&x->live->proxy_opened, 1);
}

void attempt_count_bytes(struct exchange *x)
{
	uint64_t in, out;

	if (!x->upstream || !x->live)
		return;
	in = upstream_sent(x->upstream);
	out = upstream_received(x->upstream);
	live_add(&x->live->proxy_bytes_in, in - x->counted_in);
	live_add(&x->live->proxy_bytes_out, out - x->counted_out);
	x->counted_in = in;
	x->counted_out = out;
}

void attempt_end(struct exchange *x, bool keep)
{
	attempt_count_bytes(x);
	if (x->live)
		live_add(&x->live->proxy_closed, 1);
	if (x->upstream && keep && !x->alone)
		upstream_release(x->upstream);
	else
		upstream_close(x->upstream);
	if (x->live)
		admission_leave(x->worker, x->pool, x->backend_id);
	x->upstream = NULL;
	x->live = NULL;
	x->counted_in = 0;
	x->counted_out = 0;
}

static void count_failed(struct exchange *x, const char *why)
{
	if (x->live)
		live_add(&x->live->proxy_failed, 1);
	x->why = why;
	if (worker_may_log(x->worker))
		log_warning("request of service '%s' failed at backend '%s': %s",
			    worker_service_name(x->worker, x->service_id), x->backend, why);
}

void attempt_failed(struct exchange *x, const char *why)
{
	if (x->live)
		reporter_say(x->worker, x->backend_id, why);
	count_failed(x, why);
}

static bool upstream_for(struct exchange *x, const struct view_member *member, int *ret_err)
{
	struct upstream_pool *pool = &x->worker->upstreams;
	bool sure = !http_method_idempotent(x->method);
	struct upstream *up = NULL;

	*ret_err = 0;
	if (!x->fresh && !x->alone)
		up = upstream_pool_take(pool, member->id, &member->addr, sure);
	if (!up)
		*ret_err = upstream_connect(x->worker, member->id, &member->addr, &up);
	if (!up)
		return false;
	upstream_attach(up, x, x->request, &x->writer);
	x->request = NULL;
	x->upstream = up;
	if (up->reused)
		record_reused(x->client->record);
	return true;
}

/* ---- Finding a backend --------------------------------------------------------------------- */

/* Inside the gate of *ret_member; the backend that a queue gave may be gone by now. */
static enum admission_result enter(struct exchange *x, const struct snapshot_pool *pool,
				   const struct view_member **ret_member)
{
	struct admission_ask ask;
	struct sticky_ask sticky = {.token = x->sticky,
				    .now_ms = loop_now_ms(x->worker->loop),
				    .drain_ms = x->timeouts.drain};

	if (x->admitted) {
		uint16_t id = x->admitted;

		x->admitted = 0;
		*ret_member = pool ? view_find(pool->balancer->view, id) : NULL;
		if (*ret_member)
			return ADMISSION_IN;
		admission_leave(x->worker, x->pool, id);
	}
	if (!pool)
		return ADMISSION_NONE;
	ask = retries_ask(&x->retries, pool, &x->key);
	if (x->sticky && x->retries.n_tried == 0)
		ask.preferred = sticky_member(pool, &sticky);
	return admission_enter(x->worker->shared->admission, &ask, ret_member);
}

static enum exchange_state queue_up(struct exchange *x, const struct snapshot_pool *pool,
				    unsigned *ret_status)
{
	struct admission_ask ask = retries_ask(&x->retries, pool, &x->key);

	if (admission_wait(x->worker, &ask, x->waited, &x->waiter) < 0) {
		x->why = "queue_full";
		count(&x->client->session.counts->no_room, 1);
		*ret_status = 503;
		return EXCHANGE_ENDED;
	}
	if (x->timeouts.queue == 0)
		x->timeouts.queue = pool->spec->queue.timeout_ms;
	waiter_tell(x->waiter, exchange_admitted, x);
	return EXCHANGE_QUEUED;
}

/* No connection could even be begun. False: the tries are used up. */
static bool try_again(struct exchange *x, int err)
{
	bool again = retries_lost(&x->retries, x->backend_id, RETRY_CONNECT);

	if (retries_is_own_want(err))
		count_failed(x, retries_connect_word(err));
	else
		attempt_failed(x, retries_connect_word(err));
	attempt_end(x, false);
	return again;
}

enum exchange_state attempt_start(struct exchange *x, unsigned *ret_status)
{
	const struct snapshot_pool *pool = find_pool(x);
	const struct view_member *member = NULL;
	enum admission_result result;
	int err = 0;

	do {
		result = enter(x, pool, &member);
		if (result == ADMISSION_FULL)
			return queue_up(x, pool, ret_status);
		if (result == ADMISSION_NONE)
			break;
		count_opened(x, member);
		x->asked_us = loop_now_us(x->worker->loop);
		record_asked(x->client->record, x->backend);
		if (upstream_for(x, member, &err))
			return x->upstream->reused ? EXCHANGE_REQUESTING : EXCHANGE_CONNECTING;
	} while (try_again(x, err));
	if (x->retries.n_tried == 0)
		x->why = "no_backend";
	*ret_status = x->retries.n_tried == 0 ? 503 : x->timed_out ? 504 : 502;
	return EXCHANGE_ENDED;
}

/* ---- Trying again -------------------------------------------------------------------------- */

/* A server may close an idle connection at any time. */
static bool is_stale(const struct exchange *x, enum retry_on cause)
{
	return cause == RETRY_CLOSED && x->upstream->reused && upstream_received(x->upstream) == 0;
}

bool attempt_may_repeat(const struct exchange *x, enum retry_on cause)
{
	if (cause < RETRY_502 && upstream_received(x->upstream) > 0)
		return false;
	if (upstream_sent(x->upstream) > 0 && !http_method_idempotent(x->method))
		return false;
	return upstream_has_request(x->upstream) &&
	       (is_stale(x, cause) || retries_allow(&x->retries, cause));
}

bool attempt_lost(struct exchange *x, enum retry_on cause, const char *why)
{
	bool stale = is_stale(x, cause);
	bool again = attempt_may_repeat(x, cause);

	if (again)
		x->request = upstream_take_request(x->upstream);
	x->writer = x->upstream->channel.writer;
	x->deaf = false;
	x->n_interim = 0;
	if (!stale || !again)
		attempt_failed(x, why);
	if (stale)
		x->fresh = true;
	else
		(void)retries_lost(&x->retries, x->backend_id, cause);
	attempt_end(x, false);
	return again;
}
