/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "proxy/proxy.h"

#include <errno.h>
#include <semaphore.h>
#include <stdlib.h>
#include <unistd.h>

#include "net/socket.h"
#include "proxy/listener.h"
#include "proxy/worker.h"

#define RECLAIM_MS 20 /* how often retired snapshots are looked at */

/* One address that is listened on, by all workers. */
struct binding {
	struct list node; /* in proxy->bindings or proxy->closing */
	struct addr addr;
	uint64_t serial;
	atomic_uint open_count;
	uint32_t n_workers;
	struct listener *listeners[]; /* one of each worker, which owns it */
};

struct proxy {
	struct loop *loop; /* the control thread's */
	struct proxy_shared shared;
	struct snapshot *retired; /* each with the epoch of its successor */
	struct timer reclaim;
	struct list bindings;
	struct list closing; /* workers have not closed them yet */
	uint64_t last_serial;
	struct service_counts *counts[LB_MAX_SERVICES]; /* by service id: one row per worker */
	atomic_uint undrained;
	bool draining;
	bool freed; /* while the mail below is under way: its delivery frees */
	bool told;
	struct mail drained;
	void (*on_drained)(void *ctx);
	void *drained_ctx;
	uint32_t n_workers;
	struct worker workers[];
};

/* ---- Snapshots ----------------------------------------------------------------------------- */

static bool all_passed(const struct proxy *proxy, uint64_t epoch)
{
	for (uint32_t i = 0; i < proxy->n_workers; i++)
		if (!worker_passed(&proxy->workers[i], epoch))
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

void proxy_publish(struct proxy *proxy, struct snapshot *snapshot)
{
	uint64_t epoch = atomic_load(&proxy->shared.epoch) + 1;
	struct snapshot *old;

	snapshot->epoch = epoch;
	old = atomic_exchange(&proxy->shared.current, snapshot);
	atomic_store(&proxy->shared.epoch, epoch);
	if (!old)
		return;
	old->epoch = epoch; /* workers that have seen this epoch cannot hold the old one */
	old->next_retired = proxy->retired;
	proxy->retired = old;
	reclaim(proxy);
}

/* ---- Listeners ----------------------------------------------------------------------------- */

/* Work for a worker's thread. */
struct command {
	struct mail mail;
	struct worker *worker;
	struct listener *listener;
	uint32_t deadline_ms;
};

static int send_command(struct worker *worker, struct listener *listener, uint32_t deadline_ms,
			void (*on_mail)(struct mail *))
{
	struct command *command = malloc(sizeof(*command));

	if (!command)
		return -ENOMEM;
	*command = (struct command){
		.mail.on_mail = on_mail,
		.worker = worker,
		.listener = listener,
		.deadline_ms = deadline_ms,
	};
	loop_send(worker->loop, &command->mail);
	return 0;
}

static void on_open(struct mail *mail)
{
	struct command *command = container_of(mail, struct command, mail);

	listener_open(command->listener);
	free(command);
}

static void on_close(struct mail *mail)
{
	struct command *command = container_of(mail, struct command, mail);

	/* A drain has closed and freed it. */
	if (!command->worker->draining)
		listener_close(command->listener);
	free(command);
}

static void forget_closed(struct proxy *proxy)
{
	list_for_each_safe (node, &proxy->closing) {
		struct binding *binding = container_of(node, struct binding, node);

		if (atomic_load(&binding->open_count) > 0)
			continue;
		list_remove(&binding->node);
		free(binding);
	}
}

static struct binding *find_binding(struct list *bindings, const struct addr *addr)
{
	list_for_each (node, bindings) {
		struct binding *binding = container_of(node, struct binding, node);

		if (addr_equal(&binding->addr, addr))
			return binding;
	}
	return NULL;
}

/* SO_REUSEPORT would share the address with any other process of this user. */
static int check_unused(struct proxy *proxy, const struct addr *addr)
{
	int fd;

	forget_closed(proxy);
	if (find_binding(&proxy->bindings, addr))
		return -EADDRINUSE;
	if (find_binding(&proxy->closing, addr))
		return 0;
	fd = socket_listen_tcp(addr, false, 1);
	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

static struct service_counts *counts_of(struct proxy *proxy, uint32_t service_id)
{
	struct service_counts **counts = &proxy->counts[service_id];

	if (!*counts) {
		size_t size = proxy->n_workers * sizeof(**counts);

		*counts = aligned_alloc(_Alignof(struct service_counts), size);
		if (*counts)
			memset(*counts, 0, size);
	}
	return *counts;
}

static void binding_free(struct binding *binding)
{
	for (uint32_t i = 0; binding && i < binding->n_workers; i++) {
		if (!binding->listeners[i])
			continue;
		if (binding->listeners[i]->fd >= 0)
			close(binding->listeners[i]->fd);
		free(binding->listeners[i]);
	}
	free(binding);
}

static int open_socket(struct listener *listener, const struct addr *addr)
{
	int fd = socket_listen_tcp(addr, true, LISTENER_BACKLOG);

	listener->fd = fd < 0 ? -1 : fd;
	return fd < 0 ? fd : 0;
}

/* All sockets, before any worker is told of one. */
static int binding_new(struct proxy *proxy, const struct addr *addr, struct binding **ret_binding)
{
	uint32_t n = proxy->n_workers;
	struct binding *binding = calloc(1, sizeof(*binding) + n * sizeof(void *));
	int err = -ENOMEM;

	if (!binding)
		return -ENOMEM;
	list_init(&binding->node);
	binding->addr = *addr;
	binding->n_workers = n;
	for (uint32_t i = 0; i < n; i++) {
		binding->listeners[i] = calloc(1, sizeof(*binding->listeners[i]));
		if (!binding->listeners[i])
			goto fail;
		err = open_socket(binding->listeners[i], addr);
		if (err < 0)
			goto fail;
		err = -ENOMEM;
	}
	*ret_binding = binding;
	return 0;
fail:
	binding_free(binding);
	return err;
}

/* A worker that could not be told keeps no listener: its share goes to the others. */
static void open_listeners(struct proxy *proxy, struct binding *binding, uint32_t service_id)
{
	binding->serial = ++proxy->last_serial;
	for (uint32_t i = 0; i < proxy->n_workers; i++) {
		struct listener *listener = binding->listeners[i];

		listener->worker = &proxy->workers[i];
		listener->counts = &proxy->counts[service_id][i];
		listener->serial = binding->serial;
		listener->service_id = service_id;
		listener->open_count = &binding->open_count;
		atomic_fetch_add(&binding->open_count, 1);
		if (send_command(&proxy->workers[i], listener, 0, on_open) < 0) {
			atomic_fetch_sub(&binding->open_count, 1);
			close(listener->fd);
			free(listener);
			binding->listeners[i] = NULL;
		}
	}
	list_append(&proxy->bindings, &binding->node);
}

int proxy_listen(struct proxy *proxy, uint32_t service_id, const struct addr *addr,
		 struct error *err)
{
	char text[ADDR_TEXT_LEN];
	struct binding *binding;
	int code;

	if (service_id >= LB_MAX_SERVICES || proxy->draining)
		return error_set(err, -EINVAL, "listen", "cannot listen on '%s': %s",
				 addr_format(addr, text),
				 proxy->draining ? "draining" : "too many services");
	if (!counts_of(proxy, service_id))
		return error_set(err, -ENOMEM, "listen", "cannot listen on '%s': out of memory",
				 addr_format(addr, text));
	code = check_unused(proxy, addr);
	if (code == 0)
		code = binding_new(proxy, addr, &binding);
	if (code < 0)
		return error_set(err, code, "listen", "cannot bind '%s': %s",
				 addr_format(addr, text), strerror(-code));
	open_listeners(proxy, binding, service_id);
	return 0;
}

void proxy_unlisten(struct proxy *proxy, const struct addr *addr)
{
	struct binding *binding = find_binding(&proxy->bindings, addr);

	if (!binding)
		return;
	for (uint32_t i = 0; i < proxy->n_workers; i++)
		if (binding->listeners[i])
			send_command(&proxy->workers[i], binding->listeners[i], 0, on_close);
	list_remove(&binding->node);
	list_append(&proxy->closing, &binding->node);
}

/* ---- Visits --------------------------------------------------------------------------------- */

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

void proxy_visit(struct proxy *proxy, void (*fn)(struct worker *worker, void *ctx), void *ctx)
{
	for (uint32_t i = 0; i < proxy->n_workers; i++) {
		struct visit visit = {.mail.on_mail = on_visit,
				      .worker = &proxy->workers[i],
				      .fn = fn,
				      .ctx = ctx};

		sem_init(&visit.done, 0, 0);
		loop_send(visit.worker->loop, &visit.mail);
		while (sem_wait(&visit.done) < 0 && errno == EINTR)
			;
		sem_destroy(&visit.done);
	}
}

/* ---- Counts -------------------------------------------------------------------------------- */

static void add_counts(struct proxy_stats *sum, const struct service_counts *counts)
{
	sum->opened += count_read(&counts->opened);
	sum->closed += count_read(&counts->closed);
	sum->requests += count_read(&counts->requests);
	sum->bytes_in += count_read(&counts->bytes_in);
	sum->bytes_out += count_read(&counts->bytes_out);
	for (int i = 0; i < 6; i++)
		sum->status[i] += count_read(&counts->status[i]);
}

void proxy_stats(struct proxy *proxy, uint32_t service_id, struct proxy_stats *ret_stats)
{
	struct proxy_stats sum = {0};

	if (service_id < LB_MAX_SERVICES && proxy->counts[service_id])
		for (uint32_t i = 0; i < proxy->n_workers; i++)
			add_counts(&sum, &proxy->counts[service_id][i]);
	*ret_stats = sum;
}

/* ---- Life ---------------------------------------------------------------------------------- */

static void on_all_drained(struct mail *mail)
{
	struct proxy *proxy = container_of(mail, struct proxy, drained);

	proxy->told = true;
	if (proxy->freed)
		free(proxy);
	else if (proxy->on_drained)
		proxy->on_drained(proxy->drained_ctx);
}

/* On the thread of the worker; the last one tells. */
static void on_worker_drained(struct worker *worker)
{
	struct proxy *proxy = worker->owner;

	if (atomic_fetch_sub(&proxy->undrained, 1) == 1)
		loop_send(proxy->loop, &proxy->drained);
}

static void on_drain(struct mail *mail)
{
	struct command *command = container_of(mail, struct command, mail);

	worker_drain(command->worker, command->deadline_ms);
	free(command);
}

void proxy_drain(struct proxy *proxy, uint32_t deadline_ms, void (*on_drained)(void *ctx),
		 void *ctx)
{
	proxy->on_drained = on_drained;
	proxy->drained_ctx = ctx;
	if (proxy->draining)
		return;
	proxy->draining = true;
	for (uint32_t i = 0; i < proxy->n_workers; i++)
		if (send_command(&proxy->workers[i], NULL, deadline_ms, on_drain) < 0)
			on_worker_drained(&proxy->workers[i]);
}

int proxy_start(struct loop *loop, uint32_t workers, struct proxy **ret_proxy, struct error *err)
{
	struct proxy *proxy = calloc(1, sizeof(*proxy) + workers * sizeof(proxy->workers[0]));

	if (!proxy)
		return error_set(err, -ENOMEM, "workers", "cannot start workers: out of memory");
	proxy->loop = loop;
	timer_init(&proxy->reclaim, on_reclaim);
	list_init(&proxy->bindings);
	list_init(&proxy->closing);
	proxy->drained.on_mail = on_all_drained;
	proxy->n_workers = workers;
	atomic_store(&proxy->undrained, workers);
	for (uint32_t i = 0; i < workers; i++) {
		struct worker *worker = &proxy->workers[i];
		int code;

		worker->shared = &proxy->shared;
		worker->on_drained = on_worker_drained;
		worker->owner = proxy;
		code = worker_start(worker);
		if (code == 0)
			continue;
		proxy_free(proxy);
		return error_set(err, code, "workers", "cannot start worker %u: %s", i,
				 strerror(-code));
	}
	*ret_proxy = proxy;
	return 0;
}

/* The workers have freed the listeners. */
static void free_bindings(struct list *bindings)
{
	list_for_each_safe (node, bindings)
		free(container_of(node, struct binding, node));
}

void proxy_free(struct proxy *proxy)
{
	if (!proxy)
		return;
	for (uint32_t i = 0; i < proxy->n_workers; i++)
		worker_stop(&proxy->workers[i]);
	timer_stop(proxy->loop, &proxy->reclaim);
	while (proxy->retired) {
		struct snapshot *snapshot = proxy->retired;

		proxy->retired = snapshot->next_retired;
		snapshot_free(snapshot);
	}
	snapshot_free(atomic_load(&proxy->shared.current));
	free_bindings(&proxy->bindings);
	free_bindings(&proxy->closing);
	for (uint32_t i = 0; i < LB_MAX_SERVICES; i++)
		free(proxy->counts[i]);
	proxy->freed = proxy->draining && atomic_load(&proxy->undrained) == 0 && !proxy->told;
	if (!proxy->freed)
		free(proxy);
}
