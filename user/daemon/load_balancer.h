/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * LoadBalancer: introduces the rooms to each other and drives them; decides nothing itself.
 *
 * For: start, reload, shutdown; carrying health to pools, pools to maps and workers.
 * Owns: one of everything. May know: every room. Only the control thread calls it.
 */
#ifndef DAEMON_LOAD_BALANCER_H
#define DAEMON_LOAD_BALANCER_H

#include <jansson.h>

#include "base/error.h"
#include "config/config.h"
#include "control/control.h"
#include "daemon/events.h"
#include "daemon/ids.h"
#include "dataplane/dataplane.h"
#include "net/loop.h"
#include "pool/pool.h"
#include "proxy/proxy.h"

struct upgrade;
struct inheritance;
struct supervisor;

struct load_balancer {
	struct loop *loop;
	char *const *argv; /* as lbd was started */
	const char *config_path;
	bool fresh; /* --fresh */
	const char *version;
	uint64_t started_ms;

	/* The three layers: file, overlay, and what both make together. */
	struct doc *file;
	json_t *overlay;
	struct config *config;

	struct dataplane *dataplane; /* NULL: no kernel path in this configuration */
	struct registry *registry;
	struct proxy *proxy;	      /* NULL until a service needs it */
	struct service_set *services; /* of <config>, for workers; NULL: to be made */
	struct control *control;

	struct service_counts *counts; /* NULL: no memory for them */
	struct ids pool_ids;
	struct ids service_ids;
	struct list pools;	/* struct pool_entry */
	uint32_t table_steps;	/* project_table_steps() of the configuration */
	struct list tombstones; /* struct tombstone: removed backends that flows may name */

	struct lb_live *rows; /* live rows where there is no kernel path */
	int rows_fd;	      /* -1: none */

	struct upgrade *upgrade;	 /* NULL: none was asked for */
	struct inheritance *inheritance; /* NULL: there is no lbd before this one, or it let go */
	struct list generations;	 /* processes before this one that drain */
	uint64_t last_session;		 /* id of a session of theirs: this one's are above */
	struct supervisor *supervisor;	 /* NULL: no memory for it */
	json_t *past;			 /* counts of those that have ended */

	bool fallen; /* backends went down, see on_down.h */
	bool open;   /* services are open: every backend had a result, or start-timeout passed */
	bool stopping;
	int exit_status;
	struct timer opening;
	struct timer refresh;
	struct timer heartbeat;
	struct timer climb; /* see slow_start.h */
	struct events events;
	struct source watch; /* link, route and neighbour changes */
};

/* Loads the configuration and starts everything; services open when health is known. The caller
 * runs <lb->loop>. On failure what was started is shut down by load_balancer_fini. */
int load_balancer_start(struct load_balancer *lb, struct error *err);
int load_balancer_start_http(struct load_balancer *lb, struct error *err); /* the proxy path */
int load_balancer_start_tcp(struct load_balancer *lb, struct error *err);  /* the kernel path */

enum reload_flags {
	RELOAD_DISCARD_RUNTIME = 1, /* drop the overlay */
	RELOAD_DRY_RUN = 2,	    /* check all, change nothing */
};
/*
 * Reads the file again and applies the difference. All or nothing. Run-time changes to what the new
 * file has no longer are dropped, and named in <dropped>, a list (may be NULL).
 */
int load_balancer_reload(struct load_balancer *lb, unsigned flags, json_t *dropped,
			 struct error *err);
/* Drains the proxy, then stops the loop; the kernel path goes on forwarding. */
void load_balancer_shutdown(struct load_balancer *lb);
void load_balancer_fini(struct load_balancer *lb);

#endif
