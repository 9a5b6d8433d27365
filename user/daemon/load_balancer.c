/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "daemon/load_balancer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "daemon/apply.h"
#include "daemon/entry.h"
#include "daemon/forget.h"
#include "daemon/generation.h"
#include "daemon/inherit.h"
#include "daemon/refresh.h"
#include "daemon/reload.h"
#include "daemon/rows.h"
#include "daemon/service_counts.h"
#include "daemon/slow_start.h"
#include "daemon/supervise.h"
#include "daemon/upgrade.h"

#define START_TIMEOUT_MS 2000 /* services open after this, whatever checks know */
#define HEARTBEAT_MS	 1000

/* ---- Timers and events ---------------------------------------------------------------------- */

static void on_opening(struct timer *timer)
{
	struct load_balancer *lb = container_of(timer, struct load_balancer, opening);
	struct error err = {0};

	if (open_services(lb, &err) == 0)
		return;
	log_error("%s", err.message);
	inherit_fail(lb, err.message);
	lb->exit_status = 1;
	loop_stop(lb->loop);
}

static void on_refresh(struct timer *timer)
{
	struct load_balancer *lb = container_of(timer, struct load_balancer, refresh);
	struct error err = {0};

	if (refresh_now(lb, &err) < 0)
		log_error("cannot bring changes to the data path: %s", err.message);
}

static void on_heartbeat(struct timer *timer)
{
	struct load_balancer *lb = container_of(timer, struct load_balancer, heartbeat);

	if (lb->dataplane)
		dataplane_heartbeat(lb->dataplane);
	if (lb->registry) { /* the first beat comes before it */
		tombstone_sweep(lb);
		service_counts_sample(lb);
	}
	timer_start(lb->loop, timer, HEARTBEAT_MS);
}

static void on_watch(struct source *source)
{
	struct load_balancer *lb = container_of(source, struct load_balancer, watch);

	source->ready &= ~(unsigned)LOOP_READ;
	if (upgrade_frozen(lb))
		return;
	if (dataplane_on_watch(lb->dataplane))
		loop_run_again(lb->loop, source); /* no event tells of what was not read */
}

/* ---- Adoption ------------------------------------------------------------------------------- */

static void adopt_backend(void *ctx, uint16_t id, const char *pool, const struct addr *addr)
{
	struct load_balancer *lb = ctx;
	int r = registry_adopt(lb->registry, id, pool, addr);

	if (r < 0)
		log_warning("cannot adopt backend id %u of pool '%s': %s", id, pool, strerror(-r));
}

static void adopt_pool(void *ctx, uint32_t id, const char *name)
{
	struct load_balancer *lb = ctx;

	ids_adopt(&lb->pool_ids, id, name);
}

static void adopt_service(void *ctx, uint32_t id, const char *name)
{
	struct load_balancer *lb = ctx;

	ids_adopt(&lb->service_ids, id, name);
}

static int start_registry(struct load_balancer *lb, struct error *err)
{
	static const struct dataplane_identities fns = {
		.backend = adopt_backend, .pool = adopt_pool, .service = adopt_service};
	int r = lb->dataplane ? 0 : rows_open(lb, inherit_rows(lb));

	if (r == 0)
		r = registry_new(lb->dataplane ? dataplane_rows(lb->dataplane) : lb->rows,
				 &lb->registry);
	if (r == 0)
		registry_ask(lb->registry, forget_mark_named, lb);
	if (r == 0)
		r = ids_init(&lb->pool_ids, LB_MAX_POOLS);
	if (r == 0)
		r = ids_init(&lb->service_ids, LB_MAX_SERVICES);
	if (r < 0)
		return error_set(err, r, "", "cannot start: %s", strerror(-r));
	if (lb->dataplane)
		dataplane_each_identity(lb->dataplane, &fns, lb);
	else
		inherit_each_id(lb, adopt_backend);
	if (lb->dataplane && !lb->inheritance)
		rows_settle(dataplane_rows(lb->dataplane));
	return 0;
}

/* ---- Start ---------------------------------------------------------------------------------- */

int load_balancer_start_tcp(struct load_balancer *lb, struct error *err)
{
	struct dataplane_spec spec = {.max_flows = lb->config->max_flows, .fresh = lb->fresh};
	int r;

	if (!config_has_kernel_service(lb->config) && lb->config->n_interfaces == 0)
		return 0;
	(void)snprintf(spec.pin_path, sizeof(spec.pin_path), "%s", lb->config->pin_path);
	spec.lock_fd = inherit_lock(lb);
	spec.locked = spec.lock_fd >= 0;
	r = dataplane_open(&spec, &lb->dataplane, err);
	if (r < 0)
		return r;
	/* Without it there is nothing to watch, as was said. */
	if (dataplane_watch_fd(lb->dataplane) >= 0)
		r = loop_add(lb->loop, &lb->watch, dataplane_watch_fd(lb->dataplane), on_watch);
	if (r < 0)
		return error_set(err, r, "", "cannot watch interfaces: %s", strerror(-r));
	log_info("kernel path at '%s': %s", spec.pin_path,
		 dataplane_adopted(lb->dataplane) ? "adopted, with its flows" : "new");
	return 0;
}

/* What only the one lbd does that writes. */
static int start_writing(struct load_balancer *lb, struct error *err)
{
	int r = inherit_writing(lb, err);

	if (r < 0)
		return r;
	r = events_start(lb);
	if (r < 0)
		return error_set(err, r, "", "cannot read the kernel's events: %s", strerror(-r));
	on_heartbeat(&lb->heartbeat);
	return 0;
}

int load_balancer_start_http(struct load_balancer *lb, struct error *err)
{
	for (uint32_t i = 0; i < lb->config->n_services; i++) {
		const struct service_spec *service = &lb->config->services[i];

		if (service->enabled && service->path == PATH_PROXY)
			return proxy_start(lb->loop, lb->config->workers, &lb->proxy, err);
	}
	return 0;
}

int load_balancer_start(struct load_balancer *lb, struct error *err)
{
	struct config *config = NULL;
	int r;

	list_init(&lb->pools);
	list_init(&lb->tombstones);
	list_init(&lb->generations);
	lb->rows_fd = -1;
	lb->past = json_object();
	supervise_init(lb);
	timer_init(&lb->opening, on_opening);
	timer_init(&lb->refresh, on_refresh);
	timer_init(&lb->heartbeat, on_heartbeat);
	slow_start_init(lb);
	lb->started_ms = clock_ms();
	lb->counts = calloc(1, sizeof(*lb->counts));
	r = inherit_open(lb, err);
	if (r >= 0)
		r = reload_first(lb, &config, err);
	if (r < 0)
		return r;
	lb->config = config; /* for start_tcp and start_http; apply_config compares with nothing */
	log_set_level(config->log_level);
	r = load_balancer_start_tcp(lb, err);
	if (r == 0)
		r = start_registry(lb, err);
	if (r == 0)
		r = load_balancer_start_http(lb, err);
	if (r == 0)
		r = inherit_listeners(lb, err);
	if (r == 0)
		supervise_listeners(lb);
	if (r == 0)
		r = start_writing(lb, err);
	if (r < 0)
		return r;
	lb->config = NULL;
	timer_start(lb->loop, &lb->opening, lb->inheritance ? 0 : START_TIMEOUT_MS);
	r = apply_config(lb, config, err);
	if (r < 0) {
		lb->config = config;
		return r;
	}
	tombstone_adopt(lb);
	open_when_known(lb);
	return 0;
}

/* ---- End -------------------------------------------------------------------------------- */

static void on_drained(void *ctx)
{
	struct load_balancer *lb = ctx;

	loop_stop(lb->loop);
}

void load_balancer_shutdown(struct load_balancer *lb)
{
	if (lb->stopping) {
		loop_stop(lb->loop); /* asked twice: do not wait for the drain */
		return;
	}
	lb->stopping = true;
	timer_stop(lb->loop, &lb->opening); /* what is not open yet stays closed */
	upgrade_cancel(lb);
	if (upgrade_busy(lb))
		return; /* it drains already */
	supervise_stopping(lb);
	if (lb->dataplane)
		log_info("the kernel path goes on forwarding (lbd --teardown ends it)");
	if (lb->proxy)
		proxy_drain(lb->proxy, UINT32_MAX, on_drained, lb); /* as services say */
	else
		loop_stop(lb->loop);
	/* Now that it is so: who reads this may ask for the last time. */
	log_info("stopping: %llu connections are left to drain",
		 (unsigned long long)(lb->proxy ? proxy_sessions(lb->proxy) : 0));
}

void load_balancer_fini(struct load_balancer *lb)
{
	upgrade_free(lb);
	supervise_fini(lb);
	if (lb->inheritance) /* the other lbd goes on with it */
		control_give_up(lb->control);
	else
		control_close(lb->control);
	proxy_free(lb->proxy);
	refresh_config_changed(lb);
	list_for_each_safe (node, &lb->pools)
		entry_free(entry_of(node));
	while (!list_empty(&lb->tombstones))
		tombstone_drop(lb, container_of(lb->tombstones.next, struct tombstone, node)->id);
	timer_stop(lb->loop, &lb->opening);
	timer_stop(lb->loop, &lb->refresh);
	timer_stop(lb->loop, &lb->heartbeat);
	slow_start_fini(lb);
	registry_free(lb->registry);
	if (lb->dataplane && lb->watch.on_ready)
		loop_remove(lb->loop, &lb->watch);
	events_fini(lb);
	dataplane_close(lb->dataplane);
	rows_close(lb);
	if (lb->loop && lb->past) /* it was started */
		generations_free(lb);
	inherit_free(lb);
	json_decref(lb->past);
	free(lb->counts);
	ids_fini(&lb->pool_ids);
	ids_fini(&lb->service_ids);
	config_free(lb->config);
	doc_free(lb->file);
	json_decref(lb->overlay);
}
