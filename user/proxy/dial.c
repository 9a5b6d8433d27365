/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "proxy/dial.h"

#include <errno.h>

#include "base/log.h"
#include "net/socket.h"
#include "observe/access_log.h"
#include "proxy/reporter.h"
#include "proxy/session.h"
#include "proxy/worker.h"

static struct worker *worker_of(const struct dial *dial)
{
	return dial->session->worker;
}

static const char *service_of(const struct dial *dial)
{
	return worker_service_name(worker_of(dial), dial->session->service_id);
}

/* ---- Counts -------------------------------------------------------------------------------- */

void dial_count(struct dial *dial)
{
	if (!dial->live)
		return;
	live_add(&dial->live->proxy_bytes_in, dial->channel.sent - dial->counted_in);
	live_add(&dial->live->proxy_bytes_out, dial->channel.received - dial->counted_out);
	dial->counted_in = dial->channel.sent;
	dial->counted_out = dial->channel.received;
}

static void count_opened(struct dial *dial, const struct view_member *member)
{
	dial->live = member->live;
	dial->id = member->id;
	memcpy(dial->name, member->name, sizeof(dial->name));
	live_add(&dial->live->proxy_opened, 1);
	dial->n_asked++;
	dial->asked_us = loop_now_us(worker_of(dial)->loop);
}

static void count_failed(struct dial *dial, const char *why)
{
	dial->why = why;
	if (dial->live)
		live_add(&dial->live->proxy_failed, 1);
	if (worker_may_log(worker_of(dial)))
		log_warning("connection of service '%s' failed at backend '%s': %s",
			    service_of(dial), dial->name, why);
}

static void end_backend(struct dial *dial)
{
	dial_count(dial);
	if (dial->live) {
		live_add(&dial->live->proxy_closed, 1);
		admission_leave(worker_of(dial), dial->pool, dial->id);
	}
	dial->live = NULL;
	channel_close(&dial->channel);
}

/* ---- Ends ---------------------------------------------------------------------------------- */

static void no_room(struct dial *dial, const char *why)
{
	dial->state = DIAL_FULL;
	count(&dial->session->counts->no_room, 1);
	dial->on_end(dial, why);
}

/* Nobody is left to be asked. */
static void give_up(struct dial *dial)
{
	dial->state = DIAL_FAILED;
	if (dial->n_asked == 0 && worker_may_log(worker_of(dial)))
		log_warning("connection of service '%s' closed: no_backend", service_of(dial));
	dial->on_end(dial, dial->n_asked == 0 ? "no_backend" : dial->why);
}

/* ---- Finding a backend --------------------------------------------------------------------- */

static const struct snapshot_pool *find_pool(const struct dial *dial)
{
	const struct snapshot *snapshot = worker_snapshot(worker_of(dial));

	return snapshot ? snapshot_pool(snapshot, dial->pool) : NULL;
}

/* Inside the gate of *ret_member; the backend that a queue gave may be gone by now. */
static enum admission_result pick(struct dial *dial, const struct view_member **ret_member)
{
	struct worker *worker = worker_of(dial);
	const struct snapshot_pool *pool = find_pool(dial);
	uint16_t id = dial->admitted;
	struct admission_ask ask;

	dial->admitted = 0;
	if (id) {
		*ret_member = pool ? view_find(pool->balancer->view, id) : NULL;
		if (*ret_member)
			return ADMISSION_IN;
		admission_leave(worker, dial->pool, id);
	}
	if (!pool)
		return ADMISSION_NONE;
	ask = retries_ask(&dial->retries, pool, &dial->key);
	return admission_enter(worker->shared->admission, &ask, ret_member);
}

static void connect_next(struct dial *dial);

static void admitted(void *owner, uint16_t backend)
{
	struct dial *dial = owner;

	dial->waiter = NULL;
	dial->admitted = backend;
	dial->state = DIAL_CONNECTING;
	connect_next(dial);
}

/* find_pool() has just found it. */
static void queue_up(struct dial *dial)
{
	struct worker *worker = worker_of(dial);
	const struct snapshot_pool *pool = find_pool(dial);
	struct admission_ask ask = retries_ask(&dial->retries, pool, &dial->key);
	uint32_t ms = dial->queue_ms;

	dial->state = DIAL_QUEUED;
	if (admission_wait(worker, &ask, false, &dial->waiter) < 0) {
		no_room(dial, "queue_full");
		return;
	}
	waiter_tell(dial->waiter, admitted, dial);
	timer_start(worker->loop, &dial->timer, ms ? ms : pool->spec->queue.timeout_ms);
}

/* ---- Connecting ---------------------------------------------------------------------------- */

static void connected(struct dial *dial)
{
	struct worker *worker = worker_of(dial);
	int err = socket_connected(dial->channel.transport.source.fd);

	if (err < 0 || !transport_writable(&dial->channel.transport)) {
		dial_lost(dial, retries_connect_word(err));
		return;
	}
	dial->state = DIAL_OPEN;
	dial->connect_us = (int64_t)(loop_now_us(worker->loop) - dial->asked_us);
	live_latency(dial->live, (uint64_t)dial->connect_us);
	timer_stop(worker->loop, &dial->timer);
	dial->on_open(dial);
}

static void on_channel(struct source *source)
{
	struct dial *dial = container_of(source, struct dial, channel.transport.source);

	if (dial->state == DIAL_OPEN)
		dial->on_ready(dial);
	else if (dial->state == DIAL_CONNECTING && source->ready & (LOOP_WRITE | LOOP_HANGUP))
		connected(dial);
}

static int open_channel(struct dial *dial, const struct addr *addr)
{
	struct worker *worker = worker_of(dial);
	int fd, err = socket_connect_tcp(addr, &fd);

	if (err < 0)
		return err;
	dial->channel = (struct channel){0};
	dial->counted_in = 0;
	dial->counted_out = 0;
	return channel_open(&dial->channel, worker->loop, &worker->buffers, fd, on_channel);
}

/* The backend is no use. True: another may be asked. */
static bool try_again(struct dial *dial, const char *why)
{
	count_failed(dial, why);
	end_backend(dial);
	return retries_lost(&dial->retries, dial->id, RETRY_CONNECT);
}

/* A backend whose connection is under way, or the end: nobody is left to try. */
static void connect_next(struct dial *dial)
{
	const struct view_member *member = NULL;
	int err;

	do {
		enum admission_result result = pick(dial, &member);

		if (result == ADMISSION_FULL) {
			queue_up(dial);
			return;
		}
		if (result == ADMISSION_NONE)
			break;
		count_opened(dial, member);
		err = open_channel(dial, &member->addr);
		if (err == 0) {
			timer_start(worker_of(dial)->loop, &dial->timer, dial->connect_ms);
			return;
		}
		if (!retries_is_own_want(err))
			reporter_say(worker_of(dial), dial->id, retries_connect_word(err));
	} while (try_again(dial, retries_connect_word(err)));
	give_up(dial);
}

void dial_lost(struct dial *dial, const char *why)
{
	reporter_say(worker_of(dial), dial->id, why);
	if (try_again(dial, why))
		connect_next(dial);
	else
		give_up(dial);
}

static void on_timer(struct timer *timer)
{
	struct dial *dial = container_of(timer, struct dial, timer);

	if (dial->state == DIAL_CONNECTING)
		dial_lost(dial, "connect_timeout");
	else
		no_room(dial, "queue_timeout");
}

/* ---- Life ---------------------------------------------------------------------------------- */

void dial_init(struct dial *dial, struct session *session)
{
	dial->session = session;
	dial->connect_us = ACCESS_NO_TIME;
	dial->channel.transport.source.fd = -1;
	dial->channel.buffers = &session->worker->buffers;
	timer_init(&dial->timer, on_timer);
}

void dial_start(struct dial *dial, uint32_t pool)
{
	const struct snapshot_pool *found;

	dial->pool = pool;
	dial->state = DIAL_CONNECTING;
	found = find_pool(dial);
	if (found)
		retries_init(&dial->retries, found->spec);
	connect_next(dial);
}

void dial_close(struct dial *dial, bool reset)
{
	waiter_leave(dial->waiter);
	dial->waiter = NULL;
	timer_stop(worker_of(dial)->loop, &dial->timer);
	if (reset && dial->live)
		transport_reset(&dial->channel.transport);
	end_backend(dial);
}
