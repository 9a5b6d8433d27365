/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "proxy/attempt.h"

#include <errno.h>

#include "base/log.h"

static const struct balancer *find_balancer(const struct exchange *x)
{
	const struct snapshot *snapshot = worker_snapshot(x->worker);
	const struct snapshot_pool *pool = snapshot ? snapshot_pool(snapshot, x->pool) : NULL;

	return pool ? pool->balancer : NULL;
}

/* The name outlives the snapshot in the log only, so it is copied; the row outlives everything. */
static void count_opened(struct exchange *x, const struct view_member *member)
{
	x->live = member->live;
	x->backend_id = member->id;
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
	if (x->upstream && keep)
		upstream_release(x->upstream);
	else
		upstream_close(x->upstream);
	x->upstream = NULL;
	x->live = NULL;
	x->counted_in = 0;
	x->counted_out = 0;
}

void attempt_failed(struct exchange *x, const char *why)
{
	if (x->live)
		live_add(&x->live->proxy_failed, 1);
	x->why = why;
	if (worker_may_log(x->worker))
		log_warning("request of service '%s' failed at backend '%s': %s",
			    worker_service_name(x->worker, x->service_id), x->backend, why);
}

static bool upstream_for(struct exchange *x, const struct view_member *member, int *ret_err)
{
	struct upstream_pool *pool = &x->worker->upstreams;
	bool sure = !http_method_idempotent(x->method);
	struct upstream *up = NULL;

	*ret_err = 0;
	if (!x->fresh)
		up = upstream_pool_take(pool, member->id, &member->addr, sure);
	if (!up)
		*ret_err = upstream_connect(x->worker, member->id, &member->addr, &up);
	if (!up)
		return false;
	upstream_attach(up, x, x->request, &x->writer);
	x->request = NULL;
	x->upstream = up;
	return true;
}

static const char *connect_word(int err)
{
	switch (err) {
	case -ECONNREFUSED:
		return "connect_refused";
	case -ETIMEDOUT:
		return "connect_timeout";
	case -ENETUNREACH:
	case -EHOSTUNREACH:
		return "connect_unreachable";
	default:
		return "connect_failed";
	}
}

static void remember_tried(struct exchange *x)
{
	if (x->n_tried < EXCHANGE_MAX_TRIES)
		x->tried[x->n_tried++] = x->backend_id;
}

enum exchange_state attempt_start(struct exchange *x, unsigned *ret_status)
{
	const struct balancer *balancer = find_balancer(x);

	while (x->n_tried < EXCHANGE_MAX_TRIES) {
		const struct view_member *member;
		int err;

		member = balancer ? balancer_pick(balancer, &x->key, x->tried, x->n_tried) : NULL;
		if (!member)
			break;
		count_opened(x, member);
		x->asked_us = loop_now_us(x->worker->loop);
		if (upstream_for(x, member, &err))
			return x->upstream->reused ? EXCHANGE_REQUESTING : EXCHANGE_CONNECTING;
		attempt_failed(x, connect_word(err));
		remember_tried(x);
		attempt_end(x, false);
	}
	*ret_status = x->n_tried == 0 ? 503 : x->timed_out ? 504 : 502;
	return EXCHANGE_ENDED;
}

/* Connecting has failed: nothing was sent. Also when a reused connection took nothing. */
static bool may_send_again(const struct exchange *x)
{
	if (upstream_received(x->upstream) > 0)
		return false;
	return upstream_sent(x->upstream) == 0 || http_method_idempotent(x->method);
}

bool attempt_lost(struct exchange *x, const char *why)
{
	/* A server may close an idle connection at any time: not a failure of the backend. */
	bool stale = x->upstream->reused && upstream_received(x->upstream) == 0;
	bool again = may_send_again(x);

	if (again)
		x->request = upstream_take_request(x->upstream);
	again = again && x->request;
	x->writer = x->upstream->channel.writer;
	x->deaf = false;
	if (!stale || !again)
		attempt_failed(x, why);
	if (stale)
		x->fresh = true;
	else
		remember_tried(x);
	attempt_end(x, false);
	return again && x->n_tried < EXCHANGE_MAX_TRIES;
}
