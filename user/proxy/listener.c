/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "proxy/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "net/socket.h"
#include "proxy/greeting.h"
#include "proxy/http1_client.h"
#include "proxy/relay.h"
#include "proxy/sources.h"

int listener_reserve(void)
{
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static const struct service_spec *find_service(const struct arrival *arrival)
{
	const struct snapshot *snapshot = worker_snapshot(arrival->worker);
	const struct snapshot_service *service =
		snapshot ? snapshot_find(snapshot, arrival->service_id) : NULL;

	/* One that was disabled meanwhile serves what was in its queue. */
	return service ? service->spec : NULL;
}

static void log_refused(const struct arrival *arrival, const char *why)
{
	char peer[ADDR_TEXT_LEN];

	if (worker_may_log(arrival->worker))
		log_warning("connection of '%s' to service '%s' refused: %s",
			    addr_format(&arrival->peer, peer),
			    worker_service_name(arrival->worker, arrival->service_id), why);
}

/* What the service says of the source. False: the connection is over. */
static bool admit(struct arrival *arrival, const struct service_spec *spec)
{
	struct sources *sources = arrival->worker->shared->sources;
	uint32_t max = spec->max_per_source;
	struct source_ask ask = {.service_id = arrival->service_id,
				 .spec = spec,
				 .peer = &arrival->peer,
				 .now_ms = loop_now_ms(arrival->worker->loop)};
	const char *why = sources_refuse(sources, &ask);

	if (!why && max > 0) {
		arrival->of_source =
			sources_enter(sources, arrival->service_id, &arrival->peer, max);
		if (!arrival->of_source)
			arrival->refused = SOURCES_TOO_MANY;
	}
	if (!why && !arrival->refused)
		return true;
	count(&arrival->counts->refused, 1);
	if (!why && spec->protocol == PROTOCOL_HTTP)
		return true; /* it says so itself */
	log_refused(arrival, why ? why : arrival->refused);
	return false;
}

void arrival_lost(const struct arrival *arrival)
{
	if (arrival->of_source)
		sources_leave(arrival->worker->shared->sources, arrival->service_id,
			      &arrival->peer);
}

void arrival_serve(struct arrival *arrival)
{
	const struct service_spec *spec = find_service(arrival);

	if (!spec || !admit(arrival, spec))
		transport_drop(arrival->fd);
	else if (spec->protocol == PROTOCOL_HTTP)
		client_accept(arrival);
	else
		relay_accept(arrival);
}

/* Who is not trusted with a header is served as whoever it is. */
static bool header_comes(const struct service_spec *spec, const struct addr *peer)
{
	if (!spec->proxy_protocol.accept || spec->n_trusted == 0)
		return spec->proxy_protocol.accept;
	for (uint32_t i = 0; i < spec->n_trusted; i++)
		if (prefix_has(&spec->trusted[i], peer->ip))
			return true;
	return false;
}

static void arrive(struct listener *listener, int fd, const struct addr *peer)
{
	struct arrival arrival = {
		.worker = listener->worker,
		.counts = listener->counts,
		.listener = listener->serial,
		.service_id = listener->service_id,
		.fd = fd,
		.peer = *peer,
		.last = atomic_load_explicit(&listener->last, memory_order_relaxed),
	};
	const struct service_spec *spec = find_service(&arrival);

	if (spec && header_comes(spec, peer))
		greeting_accept(&arrival, spec->timeouts.client_header);
	else
		arrival_serve(&arrival);
}

static bool out_of_descriptors(int err)
{
	return err == -EMFILE || err == -ENFILE || err == -ENOBUFS || err == -ENOMEM;
}

/* The edge is spent, so a timer comes back for the rest of the queue. */
static void give_up_reserve(struct listener *listener, int err)
{
	struct worker *worker = listener->worker;
	int fd;

	if (worker_may_log(worker))
		log_error("cannot accept for service '%s': %s",
			  worker_service_name(worker, listener->service_id), strerror(-err));
	if (worker->reserve_fd >= 0)
		close(worker->reserve_fd);
	fd = socket_accept(listener->fd, NULL);
	if (fd >= 0)
		transport_drop(fd);
	worker->reserve_fd = listener_reserve();
	timer_start(worker->loop, &listener->retry, LISTENER_FULL_WAIT_MS);
}

static bool reserve(struct listener *listener)
{
	const struct snapshot *snapshot = worker_snapshot(listener->worker);
	const struct snapshot_service *service =
		snapshot ? snapshot_find(snapshot, listener->service_id) : NULL;

	return limits_reserve(listener->worker, listener->service_id,
			      service ? service->spec->max_connections : 0);
}

/* Room for one more connection. False: the listener runs again when there is some. */
static bool make_room(struct listener *listener)
{
	/* What is in the queue of a socket that closes would be reset. */
	if (atomic_load_explicit(&listener->last, memory_order_relaxed)) {
		limits_count(listener->worker, listener->service_id);
		return true;
	}
	if (reserve(listener))
		return true;
	limits_pause(listener->worker, &listener->paused);
	return reserve(listener); /* somebody may have gone before it was listed */
}

/* 0 when the queue is empty, 1 when there may be more. */
static int accept_one(struct listener *listener)
{
	struct addr peer;
	int fd = socket_accept(listener->fd, &peer);

	if (fd == -EAGAIN)
		return 0;
	if (out_of_descriptors(fd)) {
		give_up_reserve(listener, fd);
		return 0;
	}
	/* Others are about a connection that has gone meanwhile (accept(2)). */
	if (fd >= 0)
		arrive(listener, fd, &peer);
	return 1;
}

/* Likewise; also 0 when there is no room for more connections. */
static int accept_some(struct listener *listener)
{
	int more = 1;

	for (int i = 0; more && i < LISTENER_PER_WAKE; i++) {
		if (!make_room(listener))
			return 0;
		more = accept_one(listener);
		/* A session was counted by itself. */
		limits_give_back(listener->worker, listener->service_id);
	}
	return more;
}

static void on_ready(struct source *source)
{
	struct listener *listener = container_of(source, struct listener, source);

	if (accept_some(listener))
		loop_run_again(listener->worker->loop, source);
}

static void on_retry(struct timer *timer)
{
	struct listener *listener = container_of(timer, struct listener, retry);

	loop_run_again(listener->worker->loop, &listener->source);
}

void listener_open(struct listener *listener)
{
	int err = loop_add(listener->worker->loop, &listener->source, listener->fd, on_ready);

	timer_init(&listener->retry, on_retry);
	list_init(&listener->paused);
	if (err < 0)
		log_error("cannot watch a listener of service '%s': %s",
			  worker_service_name(listener->worker, listener->service_id),
			  strerror(-err));
}

void listener_serve(struct listener *listener)
{
	for (int i = 0; i <= LISTENER_BACKLOG / LISTENER_PER_WAKE && accept_some(listener); i++)
		;
}

void listener_release(struct listener *listener)
{
	timer_stop(listener->worker->loop, &listener->retry);
	list_remove(&listener->paused);
	loop_remove(listener->worker->loop, &listener->source);
}
