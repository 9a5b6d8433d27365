/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "net/socket.h"
#include "proxy/state.h"

#define DRAIN_MS 30000 /* of a service that is gone already */

/* ---- One socket ---------------------------------------------------------------------------- */

static void take(struct worker *worker, void *ctx)
{
	(void)worker;
	listener_open(ctx);
}

static void release(struct worker *worker, void *ctx)
{
	(void)worker;
	listener_release(ctx);
}

static void serve_and_release(struct worker *worker, void *ctx)
{
	(void)worker;
	listener_serve(ctx);
	listener_release(ctx);
}

static void give(struct proxy *proxy, struct listener *listener, uint32_t index)
{
	listener->worker = proxy->workers[index];
	listener->counts = proxy->counts[listener->service_id]->of[index];
	worker_visit(listener->worker, take, listener);
}

static void free_listener(struct listener *listener)
{
	close(listener->fd);
	free(listener);
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

/* One of those that were inherited, or -ENOENT. */
static int take_inherited(struct proxy *proxy, const struct addr *addr)
{
	list_for_each_safe (node, &proxy->inherited) {
		struct inherited *inherited = container_of(node, struct inherited, node);
		int fd = inherited->fd;

		if (!addr_equal(&inherited->addr, addr))
			continue;
		list_remove(&inherited->node);
		free(inherited);
		return fd;
	}
	return -ENOENT;
}

/* One that is closing, with the handshakes and connections in its queue; or -ENOENT. */
static int take_closing(struct proxy *proxy, const struct addr *addr)
{
	struct binding *binding = find_binding(&proxy->closing, addr);
	struct listener *listener;
	int fd;

	if (!binding)
		return -ENOENT;
	listener = binding->listeners[--binding->n_listeners];
	if (binding->n_listeners == 0) {
		list_remove(&binding->node);
		free(binding);
	}
	if (listener->worker)
		worker_visit(listener->worker, serve_and_release, listener);
	fd = listener->fd;
	free(listener);
	(void)socket_welcome_new(fd);
	return fd;
}

static int open_socket(struct proxy *proxy, const struct addr *addr)
{
	int fd = take_inherited(proxy, addr);

	if (fd < 0)
		fd = take_closing(proxy, addr);
	return fd >= 0 ? fd : socket_listen_tcp(addr, true, LISTENER_BACKLOG);
}

/* A socket that somebody else opened without SO_REUSEPORT is the only one there can be: its workers
 * share it. */
static int share_socket(const struct binding *binding)
{
	int fd = fcntl(binding->listeners[0]->fd, F_DUPFD_CLOEXEC, 0);

	return fd < 0 ? -errno : fd;
}

/* Not given to a worker yet. */
static int add_listener(struct proxy *proxy, struct binding *binding)
{
	struct listener *listener = calloc(1, sizeof(*listener));
	int fd = listener ? open_socket(proxy, &binding->addr) : -ENOMEM;

	if (fd == -EADDRINUSE && binding->n_listeners > 0)
		fd = share_socket(binding);
	if (fd < 0) {
		free(listener);
		return fd;
	}
	listener->fd = fd;
	listener->serial = binding->serial;
	listener->service_id = binding->service_id;
	binding->listeners[binding->n_listeners++] = listener;
	return 0;
}

/* ---- One address --------------------------------------------------------------------------- */

/* Is there one that must be taken, lest it be closed with a queue? */
static bool is_waiting(struct proxy *proxy, const struct addr *addr)
{
	if (find_binding(&proxy->closing, addr))
		return true;

	list_for_each (node, &proxy->inherited) {
		if (addr_equal(&container_of(node, struct inherited, node)->addr, addr))
			return true;
	}
	return false;
}

/* SO_REUSEPORT would share the address with any other process of this user. */
static int check_unused(struct proxy *proxy, const struct addr *addr)
{
	int fd;

	if (find_binding(&proxy->bindings, addr))
		return -EADDRINUSE;
	if (is_waiting(proxy, addr))
		return 0;
	fd = socket_listen_tcp(addr, false, 1);
	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

static void free_binding(struct binding *binding)
{
	for (uint32_t i = 0; i < binding->n_listeners; i++)
		free_listener(binding->listeners[i]);
	free(binding);
}

/* All sockets, before any worker is told of one; as many as wait for that, if those are more. */
static int make_binding(struct proxy *proxy, uint32_t service_id, const struct addr *addr,
			struct binding **ret_binding)
{
	struct binding *binding = calloc(1, sizeof(*binding));

	if (!binding || !counts_make(proxy, service_id, proxy->n_workers)) {
		free(binding);
		return -ENOMEM;
	}
	list_init(&binding->node);
	binding->addr = *addr;
	binding->service_id = service_id;
	binding->serial = ++proxy->last_serial;
	while (binding->n_listeners < PROXY_MAX_WORKERS &&
	       (binding->n_listeners < proxy->n_workers || is_waiting(proxy, addr))) {
		int err = add_listener(proxy, binding);

		if (err < 0) {
			free_binding(binding);
			return err;
		}
	}
	*ret_binding = binding;
	return 0;
}

uint32_t binding_drain_ms(const struct proxy *proxy, const struct binding *binding)
{
	const struct snapshot *snapshot = atomic_load(&proxy->shared.current);
	const struct snapshot_service *service =
		snapshot ? snapshot_find(snapshot, binding->service_id) : NULL;
	uint32_t ms = service ? service->spec->timeouts.drain : DRAIN_MS;

	return proxy->draining && ms > proxy->drain_cap_ms ? proxy->drain_cap_ms : ms;
}

/* ---- Closing ------------------------------------------------------------------------------- */

void proxy_hold(struct proxy *proxy)
{
	proxy->held = true;
}

void proxy_accept(struct proxy *proxy)
{
	proxy->held = false;
	bindings_spread(proxy);
}

static void release_from_worker(struct listener *listener)
{
	if (listener->worker)
		worker_visit(listener->worker, release, listener);
}

/* Handshakes that have begun may end, and are served; no others begin. */
static void begin_close(struct proxy *proxy, struct binding *binding)
{
	for (uint32_t i = 0; i < binding->n_listeners; i++) {
		atomic_store(&binding->listeners[i]->last, true);
		(void)socket_refuse_new(binding->listeners[i]->fd);
	}
	workers_end(proxy->workers, binding->serial, binding_drain_ms(proxy, binding));
	binding->close_ms = loop_now_ms(proxy->loop) + LISTENER_CLOSE_MS;
	list_remove(&binding->node);
	list_append(&proxy->closing, &binding->node);
	settle_soon(proxy);
}

void proxy_unlisten(struct proxy *proxy, uint32_t service_id, const struct addr *addr)
{
	struct binding *binding = find_binding(&proxy->bindings, addr);

	if (binding && (service_id == 0 || binding->service_id == service_id))
		begin_close(proxy, binding);
}

/* In the same reload an address may go from one service to another: its sockets go along. */
static void begin_close_of_others(struct proxy *proxy, uint32_t service_id, const struct addr *addr)
{
	struct binding *binding = find_binding(&proxy->bindings, addr);

	if (binding && binding->service_id != service_id)
		begin_close(proxy, binding);
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
	begin_close_of_others(proxy, service_id, addr);
	code = check_unused(proxy, addr);
	if (code == 0)
		code = make_binding(proxy, service_id, addr, &binding);
	if (code < 0)
		return error_set(err, code, "listen", "cannot bind '%s': %s",
				 addr_format(addr, text), strerror(-code));
	list_append(&proxy->bindings, &binding->node);
	for (uint32_t i = 0; i < binding->n_listeners && !proxy->held; i++)
		give(proxy, binding->listeners[i], i % proxy->n_workers);
	return 0;
}

void bindings_close_all(struct proxy *proxy)
{
	list_for_each_safe (node, &proxy->bindings)
		begin_close(proxy, container_of(node, struct binding, node));
}

bool bindings_settle(struct proxy *proxy)
{
	uint64_t now_ms = loop_now_ms(proxy->loop);

	list_for_each_safe (node, &proxy->closing) {
		struct binding *binding = container_of(node, struct binding, node);

		if (now_ms < binding->close_ms)
			continue;
		for (uint32_t i = 0; i < binding->n_listeners; i++)
			if (binding->listeners[i]->worker)
				worker_visit(binding->listeners[i]->worker, serve_and_release,
					     binding->listeners[i]);
		list_remove(&binding->node);
		free_binding(binding);
	}
	return !list_empty(&proxy->closing);
}

void bindings_give_up(struct proxy *proxy)
{
	list_for_each_safe (node, &proxy->bindings) {
		struct binding *binding = container_of(node, struct binding, node);

		for (uint32_t i = 0; i < binding->n_listeners; i++)
			release_from_worker(binding->listeners[i]);
		workers_end(proxy->workers, binding->serial, binding_drain_ms(proxy, binding));
		list_remove(&binding->node);
		free_binding(binding);
	}
}

/* ---- Sharing out --------------------------------------------------------------------------- */

static void add_missing(struct proxy *proxy, struct binding *binding)
{
	char text[ADDR_TEXT_LEN];

	while (binding->n_listeners < proxy->n_workers) {
		int err = add_listener(proxy, binding);

		if (err < 0) {
			log_warning("cannot open one more socket of '%s': %s; worker %u takes no "
				    "connections there",
				    addr_format(&binding->addr, text), strerror(-err),
				    binding->n_listeners);
			return;
		}
	}
}

/* Between two workers nobody accepts, and the queue waits. */
static void spread(struct proxy *proxy, struct binding *binding)
{
	add_missing(proxy, binding);
	if (proxy->held)
		return;
	for (uint32_t i = 0; i < binding->n_listeners; i++) {
		struct listener *listener = binding->listeners[i];
		struct worker *wanted = proxy->workers[i % proxy->n_workers];

		if (listener->worker == wanted)
			continue;
		release_from_worker(listener);
		give(proxy, listener, i % proxy->n_workers);
	}
}

/* Those that are closing as well: their workers may leave first. */
void bindings_spread(struct proxy *proxy)
{
	list_for_each (node, &proxy->bindings)
		spread(proxy, container_of(node, struct binding, node));
	list_for_each (node, &proxy->closing) {
		struct binding *binding = container_of(node, struct binding, node);

		for (uint32_t i = 0; i < binding->n_listeners; i++) {
			struct listener *listener = binding->listeners[i];

			if (!listener->worker || listener->worker->index < proxy->n_workers)
				continue;
			worker_visit(listener->worker, release, listener);
			give(proxy, listener, i % proxy->n_workers);
		}
	}
}

/* ---- Inheritance, end ---------------------------------------------------------------------- */

int proxy_inherit(struct proxy *proxy, int fd)
{
	struct inherited *inherited = calloc(1, sizeof(*inherited));
	int err = inherited ? socket_local(fd, &inherited->addr) : -ENOMEM;

	if (err < 0) {
		free(inherited);
		return err;
	}
	inherited->fd = fd;
	list_append(&proxy->inherited, &inherited->node);
	return 0;
}

void proxy_each_unused(struct proxy *proxy, void (*each)(void *ctx, const struct addr *addr),
		       void *ctx)
{
	list_for_each (node, &proxy->inherited)
		each(ctx, &container_of(node, struct inherited, node)->addr);
}

void proxy_disinherit(struct proxy *proxy)
{
	char text[ADDR_TEXT_LEN];

	list_for_each_safe (node, &proxy->inherited) {
		struct inherited *inherited = container_of(node, struct inherited, node);

		log_info(
			"a socket of '%s' that was handed over is closed: no service listens there",
			addr_format(&inherited->addr, text));
		list_remove(&inherited->node);
		close(inherited->fd);
		free(inherited);
	}
}

void proxy_each_socket(struct proxy *proxy,
		       void (*each)(void *ctx, const struct addr *addr, const int *fds, unsigned n),
		       void *ctx)
{
	list_for_each (node, &proxy->bindings) {
		struct binding *binding = container_of(node, struct binding, node);
		int fds[PROXY_MAX_WORKERS];

		for (uint32_t i = 0; i < binding->n_listeners; i++)
			fds[i] = binding->listeners[i]->fd;
		each(ctx, &binding->addr, fds, binding->n_listeners);
	}
}

static void free_list(struct list *bindings)
{
	list_for_each_safe (node, bindings)
		free_binding(container_of(node, struct binding, node));
}

void bindings_free(struct proxy *proxy)
{
	proxy_disinherit(proxy);
	free_list(&proxy->bindings);
	free_list(&proxy->closing);
}
