/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "daemon/apply.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "daemon/api.h"
#include "daemon/entry.h"
#include "daemon/forget.h"
#include "daemon/inherit.h"
#include "daemon/refresh.h"
#include "daemon/slow_start.h"
#include "daemon/supervise.h"
#include "daemon/upgrade.h"
#include "observe/access_log.h"

static bool in_proxy(const struct service_spec *service)
{
	return service->enabled && service->path == PATH_PROXY;
}

static bool has_proxy_service(const struct config *config)
{
	for (uint32_t i = 0; i < config->n_services; i++) {
		if (in_proxy(&config->services[i]))
			return true;
	}
	return false;
}

/* ---- Listeners ----------------------------------------------------------------------------- */

/* Does the service called <name> of <config> listen at <addr> on the proxy path? */
static bool listens(const struct config *config, const char *name, const struct addr *addr)
{
	const struct service_spec *service = config ? config_find_service(config, name) : NULL;

	if (!service || !in_proxy(service))
		return false;
	for (uint32_t i = 0; i < service->n_listen; i++) {
		if (addr_equal(&service->listen[i], addr))
			return true;
	}
	return false;
}

/* Every listener of <a> that <b> has not is closed. A service without an id has none yet. */
static void close_listeners(struct load_balancer *lb, const struct config *a,
			    const struct config *b)
{
	for (uint32_t i = 0; a && i < a->n_services; i++) {
		const struct service_spec *service = &a->services[i];
		uint32_t id = ids_find(&lb->service_ids, service->name);

		for (uint32_t j = 0; id && in_proxy(service) && j < service->n_listen; j++) {
			if (!listens(b, service->name, &service->listen[j]))
				proxy_unlisten(lb->proxy, id, &service->listen[j]);
		}
	}
}

/* Does any service of <config>, if there is one? */
static bool is_had(const struct config *config, const struct addr *addr)
{
	for (uint32_t i = 0; config && i < config->n_services; i++) {
		if (listens(config, config->services[i].name, addr))
			return true;
	}
	return false;
}

/* Its addresses that nobody had <before>, or those that it takes over from another service. */
static int open_listeners_of(struct load_balancer *lb, const struct service_spec *service,
			     const struct config *before, bool had, struct error *err)
{
	uint32_t id = ids_take(&lb->service_ids, service->name);

	for (uint32_t i = 0; i < service->n_listen; i++) {
		int r;

		if (listens(before, service->name, &service->listen[i]) ||
		    is_had(before, &service->listen[i]) != had)
			continue;
		r = proxy_listen(lb->proxy, id, &service->listen[i], err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Addresses that have gone to other services, with their sockets, go back with them. */
static void take_back(struct load_balancer *lb, const struct config *config,
		      const struct config *before)
{
	for (uint32_t i = 0; before && i < before->n_services; i++) {
		const struct service_spec *service = &before->services[i];
		uint32_t id = ids_find(&lb->service_ids, service->name);

		for (uint32_t j = 0; in_proxy(service) && j < service->n_listen; j++) {
			struct error err;
			int r = 0;

			if (!listens(config, service->name, &service->listen[j]))
				r = proxy_listen(lb->proxy, id, &service->listen[j], &err);
			if (r < 0 && r != -EADDRINUSE) /* that it has still */
				log_error("%s", err.message);
		}
	}
}

static int open_each(struct load_balancer *lb, const struct config *config,
		     const struct config *before, bool had, struct error *err)
{
	for (uint32_t i = 0; i < config->n_services; i++) {
		int r = 0;

		if (in_proxy(&config->services[i]))
			r = open_listeners_of(lb, &config->services[i], before, had, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Opens what <config> has and <before> (may be NULL) had not. What moves is last: when something
 * cannot be opened, nobody's connections were told yet that they end. */
static int open_listeners(struct load_balancer *lb, const struct config *config,
			  const struct config *before, struct error *err)
{
	int r = open_each(lb, config, before, false, err);

	return r < 0 ? r : open_each(lb, config, before, true, err);
}

static void close_again(struct load_balancer *lb, const struct config *config,
			const struct config *before)
{
	close_listeners(lb, config, before);
	take_back(lb, config, before);
}

/* ---- Interfaces ---------------------------------------------------------------------------- */

static const struct interface_spec *find_interface(const struct config *config, const char *name)
{
	for (uint32_t i = 0; config && i < config->n_interfaces; i++) {
		if (strcmp(config->interfaces[i].name, name) == 0)
			return &config->interfaces[i];
	}
	return NULL;
}

static void detach_missing(struct load_balancer *lb, const struct config *a, const struct config *b)
{
	for (uint32_t i = 0; a && i < a->n_interfaces; i++) {
		struct error err;
		int r;

		if (find_interface(b, a->interfaces[i].name))
			continue;
		r = dataplane_detach(lb->dataplane, a->interfaces[i].name, &err);
		if (r < 0 && r != -ENOENT)
			log_error("%s", err.message);
	}
}

/* As <before> had it: what it did not have is detached, what it had otherwise is put back. */
static void undo_attach(struct load_balancer *lb, const struct config *config,
			const struct config *before)
{
	detach_missing(lb, config, before);
	for (uint32_t i = 0; i < config->n_interfaces; i++) {
		const struct interface_spec *old =
			find_interface(before, config->interfaces[i].name);
		struct error err;

		if (old && old->hook != config->interfaces[i].hook &&
		    dataplane_attach(lb->dataplane, old, &err) < 0)
			log_error("%s", err.message);
	}
}

static int attach_new(struct load_balancer *lb, const struct config *config,
		      const struct config *before, struct error *err)
{
	for (uint32_t i = 0; i < config->n_interfaces; i++) {
		const struct interface_spec *iface = &config->interfaces[i];
		const struct interface_spec *old = find_interface(before, iface->name);
		int r;

		if (old && old->hook == iface->hook)
			continue;
		r = dataplane_attach(lb->dataplane, iface, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- Everything ---------------------------------------------------------------------------- */

/* What was set at start and cannot be changed while running. */
static int check_fixed(const struct load_balancer *lb, const struct config *config,
		       struct error *err)
{
	if (!lb->config)
		return 0;
	if (upgrade_busy(lb))
		return error_set(err, -EBUSY, "",
				 "an upgrade is under way: nothing can be changed until it has "
				 "ended");
	if (strcmp(lb->config->pin_path, config->pin_path) != 0)
		return error_set(err, -EINVAL, "pin-path",
				 "pin-path changed: restart lbd to use it");
	if (strcmp(lb->config->socket, config->socket) != 0)
		return error_set(err, -EINVAL, "admin.socket",
				 "admin.socket changed: restart lbd to use it");
	if (!lb->dataplane && (config->n_interfaces > 0 || config_has_kernel_service(config)))
		return error_set(
			err, -EINVAL, "",
			"this lbd was started without a kernel path: restart it to have one");
	return 0;
}

/* Before anything is changed: while backends change the pools, there is no way back. */
static int check_ids(const struct load_balancer *lb, const struct config *config, struct error *err)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < config->n_pools; i++) {
		const struct pool_spec *pool = &config->pools[i].pool;

		for (uint32_t j = 0; j < pool->n_backends; j++)
			n += !registry_knows(lb->registry, pool->name, &pool->backends[j].addr);
	}
	if (registry_has_room(lb->registry, n, clock_ms()))
		return 0;
	return error_set(
		err, -ENOSPC, "pools",
		"%u backends are new, which is more than there are ids left of %d: those of "
		"removed backends can be had again when their flows have ended, after %d s "
		"at the earliest",
		n, LB_MAX_BACKENDS - 1, REGISTRY_TOMBSTONE_MS / 1000);
}

static void remove_pools(struct load_balancer *lb, const struct config *config)
{
	list_for_each_safe (node, &lb->pools) {
		struct pool_entry *entry = entry_of(node);

		if (!config_find_pool(config, pool_spec(entry->pool)->name))
			entry_free(entry);
	}
}

static int apply_pools(struct load_balancer *lb, const struct config *config, struct error *err)
{
	for (uint32_t i = 0; i < config->n_pools; i++) {
		int r = entry_apply(lb, &config->pools[i], err);

		if (r < 0)
			return r;
	}
	return 0;
}

/* Once more when the services are made, where it costs nothing. */
static int open_logs(const struct config *config, struct error *err)
{
	for (uint32_t i = 0; i < config->n_services; i++) {
		const struct service_spec *service = &config->services[i];
		const struct access_log *log;
		struct error why = {0};
		int r = access_log_open(&service->access_log, &log, &why);

		if (r < 0)
			return error_set(err, -EINVAL, "access-log", "service '%s': %s",
					 service->name, why.message);
	}
	return 0;
}

/* What may fail for reasons outside lbd: logs, interfaces and listeners. */
static int open_outside(struct load_balancer *lb, struct config *config, struct error *err)
{
	int r = open_logs(config, err);

	if (r == 0 && lb->dataplane)
		r = attach_new(lb, config, lb->config, err);
	if (r == 0 && has_proxy_service(config) && !lb->proxy)
		r = proxy_start(lb->loop, config->workers, &lb->proxy, err);
	if (r == 0 && lb->proxy)
		r = proxy_set_workers(lb->proxy, config->workers, err);
	if (r == 0 && lb->open && lb->proxy) {
		proxy_hold(lb->proxy); /* until workers know the services */
		r = open_listeners(lb, config, lb->config, err);
	}
	return r;
}

static void undo_outside(struct load_balancer *lb, const struct config *config)
{
	if (lb->open && lb->proxy) {
		close_again(lb, config, lb->config);
		proxy_accept(lb->proxy);
	}
	if (lb->proxy && lb->config)
		(void)proxy_set_workers(lb->proxy, lb->config->workers, NULL);
	if (lb->dataplane)
		undo_attach(lb, config, lb->config);
}

int apply_config(struct load_balancer *lb, struct config *config, struct error *err)
{
	struct config *before = lb->config;
	int r = check_fixed(lb, config, err);

	if (r == 0)
		r = check_ids(lb, config, err);
	if (r < 0)
		return r;
	r = open_outside(lb, config, err);
	if (r == 0)
		r = apply_pools(lb, config, err);
	if (r < 0) {
		undo_outside(lb, config);
		return r;
	}
	lb->config = config;
	refresh_config_changed(lb);
	log_set_level(config->log_level);
	if (before) {
		remove_pools(lb, config);
		if (lb->proxy && lb->open)
			close_listeners(lb, before, config);
		if (lb->dataplane)
			detach_missing(lb, before, config);
		config_free(before);
	} else if (lb->dataplane) {
		dataplane_detach_others(lb->dataplane);
	}
	r = refresh_now(lb, err);
	if (lb->open && lb->proxy)
		proxy_accept(lb->proxy);
	if (r == 0 && lb->open) {
		forget_services(lb);
		supervise_changed(lb);
	}
	return r;
}

static int start_api(struct load_balancer *lb, struct error *err)
{
	int fd;

	if (inherit_api(lb, &fd) == 0 &&
	    control_adopt(lb->loop, fd, lb->config->socket, api_routes, lb, &lb->control) == 0)
		return 0;
	return control_start(lb->loop, lb->config->socket, api_routes, lb, &lb->control, err);
}

int open_services(struct load_balancer *lb, struct error *err)
{
	int r;

	timer_stop(lb->loop, &lb->opening);
	lb->open = true;
	slow_start_begin(lb);
	r = refresh_now(lb, err);
	if (r == 0)
		forget_services(lb);
	if (r == 0 && lb->proxy && lb->inheritance)
		proxy_hold(lb->proxy); /* until the lbd before lets go */
	if (r == 0 && lb->proxy)
		r = open_listeners(lb, lb->config, NULL, err);
	if (r == 0)
		r = start_api(lb, err);
	if (r == 0 && lb->inheritance)
		r = inherit_serving(lb, err);
	else if (r == 0)
		supervise_ready(lb);
	if (r == 0)
		log_info("ready: %u services, %u pools", lb->config->n_services,
			 lb->config->n_pools);
	return r;
}

void open_when_known(struct load_balancer *lb)
{
	if (lb->open || !lb->config || !timer_running(&lb->opening))
		return;
	list_for_each (node, &lb->pools) {
		if (!entry_known(entry_of(node)))
			return;
	}
	/* From the loop, not from inside the check's callback. */
	timer_start(lb->loop, &lb->opening, 0);
}
