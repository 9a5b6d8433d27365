/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "dataplane/dataplane.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "dataplane/lock.h"
#include "dataplane/log_libbpf.h"
#include "dataplane/meta.h"
#include "dataplane/requirements.h"
#include "dataplane/state.h"

/* ---- Open ---------------------------------------------------------------------------------- */

static int remove_found(struct dataplane *dp, struct error *err)
{
	int rc = maps_remove(&dp->maps, dp->path);

	return rc ? error_set(err, rc, "pin-path", "cannot unpin the maps below '%s': %s", dp->path,
			      strerror(-rc))
		  : 0;
}

static int refuse_netns(const struct dataplane *dp, struct error *err)
{
	return error_set(err, -ESTALE, "pin-path",
			 "what is pinned at '%s' belongs to another network namespace; use another "
			 "pin-path, or remove it with 'lbd --teardown'",
			 dp->path);
}

static int refuse_abi(const struct dataplane *dp, struct error *err)
{
	return error_set(
		err, -ESTALE, "pin-path",
		"what is pinned at '%s' was made by another version of lbd, whose flow "
		"table this one cannot read; run 'lbd --fresh' to begin with empty tables, "
		"which ends open flows",
		dp->path);
}

/* What is left of the pins is adopted; what cannot be is removed or refused. */
static int look_for_maps(struct dataplane *dp, const struct dataplane_spec *spec, bool *ret_remake,
			 struct error *err)
{
	enum maps_found found = maps_find(&dp->maps, dp->path);
	int rc = 0;

	if (found == MAPS_NETNS)
		return refuse_netns(dp, err);
	if (found == MAPS_FOREIGN && !spec->fresh)
		return refuse_abi(dp, err);
	if (found == MAPS_BROKEN)
		log_warning("maps below '%s' are half made, made anew", dp->path);
	if (found == MAPS_BROKEN || found == MAPS_FOREIGN)
		rc = remove_found(dp, err);
	dp->adopted = found == MAPS_FIT || found == MAPS_CONTROL;
	if (!dp->adopted)
		dp->maps.max_flows = spec->max_flows ? spec->max_flows : LB_DEFAULT_FLOWS;
	*ret_remake = found == MAPS_CONTROL;
	return rc;
}

static int load(struct dataplane *dp, const struct dataplane_spec *spec, struct error *err)
{
	bool remake = false;
	int rc = look_for_maps(dp, spec, &remake, err);

	if (rc)
		return rc;
	rc = programs_load(&dp->programs, &dp->maps, remake, err);
	dp->empty = rc == 0 && dp->adopted && maps_any_new(&dp->maps);
	/* The numbers are the same but a map is not: --fresh begins anew here too. */
	if (rc == -ESTALE && spec->fresh) {
		programs_fini(&dp->programs);
		rc = remove_found(dp, err);
		dp->adopted = false;
		dp->maps.max_flows = spec->max_flows ? spec->max_flows : LB_DEFAULT_FLOWS;
		if (rc == 0)
			rc = programs_load(&dp->programs, &dp->maps, false, err);
	}
	if (rc == 0 && dp->adopted && spec->max_flows && spec->max_flows != dp->maps.max_flows)
		log_warning("the pinned flow table keeps its size of %u flows; 'lbd --teardown' "
			    "first to "
			    "change them",
			    dp->maps.max_flows);
	return rc;
}

static int create_meta(struct dataplane *dp, const char *build, struct error *err)
{
	struct meta_clock clock;
	int rc = programs_tick(&dp->programs, &clock.tick_ns, &clock.now);

	if (rc)
		return error_set(err, rc, "", "cannot read the kernel's clock: %s", strerror(-rc));
	meta_create(dp->maps.meta, dp->maps.max_flows, &clock, build);
	return 0;
}

/* The timer runs the new program's sweep before any link does: see arm in bpf/lb_sweep.bpf.c. */
static int publish(struct dataplane *dp, const struct dataplane_spec *spec, struct error *err)
{
	int rc = maps_map(&dp->maps, err);

	if (rc)
		return rc;
	if (!dp->adopted)
		rc = create_meta(dp, spec->build, err);
	if (rc)
		return rc;
	rc = programs_arm_sweep(&dp->programs, err);
	if (rc == 0)
		rc = maps_publish(&dp->maps, dp->path, err);
	if (rc == 0 && dp->adopted)
		meta_adopt(dp->maps.meta, spec->build);
	return rc;
}

static void start_sync(struct dataplane *dp)
{
	const struct map_view view = {
		.backends = dp->maps.backends,
		.pools = dp->maps.pools,
		.slots = dp->maps.lines,
		.ends = dp->maps.ends,
		.snat = dp->maps.snat,
		.vips = dp->maps.vips,
	};

	sync_init(&dp->sync, &kernel_map_ops, &dp->maps, &view);
	dp->sync.tick_ns = dp->maps.meta->tick_ns;
}

static void start(struct dataplane *dp)
{
	start_sync(dp);
	neighbours_init(&dp->neighbours);
	dp->watch_fd = watch_open();
	if (dp->watch_fd < 0)
		log_warning("cannot watch routes and interfaces: %s", strerror(-dp->watch_fd));
}

static int open_all(struct dataplane *dp, const struct dataplane_spec *spec, struct error *err)
{
	int rc = requirements_check(err);

	if (rc == 0)
		rc = bpffs_make(spec->pin_path, dp->path, err);
	if (rc == 0 && !spec->locked)
		rc = lock_take(dp->path, &dp->lock_fd, err);
	/* A teardown may have removed it between the two. */
	if (rc == 0)
		rc = bpffs_make(spec->pin_path, dp->path, err);
	if (rc == 0)
		rc = load(dp, spec, err);
	if (rc == 0)
		rc = publish(dp, spec, err);
	if (rc == 0)
		start(dp);
	if (rc == 0 && attachments_load(dp) != 0)
		rc = error_set(err, -EIO, "pin-path", "cannot read the links below '%s'", dp->path);
	return rc;
}

int dataplane_open(const struct dataplane_spec *spec, struct dataplane **ret_dataplane,
		   struct error *err)
{
	struct dataplane *dp;
	int rc;

	if (spec->max_flows > LB_MAX_FLOWS)
		return error_set(err, -EINVAL, "limits.flows", "at most %u flows", LB_MAX_FLOWS);
	dp = calloc(1, sizeof(*dp));
	if (!dp)
		return error_set(err, -ENOMEM, "", "out of memory");
	dp->lock_fd = spec->locked ? spec->lock_fd : -1;
	memcpy(dp->build, spec->build, sizeof(dp->build));
	dp->watch_fd = -1;
	dp->neighbours.fd = -1;
	dp->programs = (struct programs)PROGRAMS_NONE;
	dp->dry[0] = dp->dry[1] = (struct dry)DRY_NONE;
	log_libbpf();
	rc = open_all(dp, spec, err);
	if (rc) {
		dataplane_close(dp);
		return rc;
	}
	*ret_dataplane = dp;
	return 0;
}

void dataplane_close(struct dataplane *dp)
{
	if (!dp)
		return;
	insight_fini(dp);
	attachments_fini(dp);
	neighbours_fini(&dp->neighbours);
	sync_fini(&dp->sync);
	programs_fini(&dp->programs);
	maps_fini(&dp->maps);
	if (dp->watch_fd >= 0)
		(void)close(dp->watch_fd);
	if (dp->lock_fd >= 0)
		(void)close(dp->lock_fd);
	free(dp);
}

int dataplane_lock_fd(const struct dataplane *dp)
{
	return dp->lock_fd;
}

int dataplane_write(struct dataplane *dp, struct error *err)
{
	return lock_adopt(dp->lock_fd, err);
}

void dataplane_retake(struct dataplane *dp)
{
	struct error err = {0};
	int rc = programs_arm_sweep(&dp->programs, &err);

	/* As in publish(): the sweep before any link, lb_meta last. */
	if (rc == 0)
		rc = maps_retake(&dp->maps, dp->path, &err);
	if (rc == 0)
		meta_adopt(dp->maps.meta, dp->build);
	else
		log_error("%s", err.message);
	attachments_retake(dp);
	sync_fini(&dp->sync);
	start_sync(dp);
}

void dataplane_unlock(struct dataplane *dp)
{
	if (dp->lock_fd >= 0)
		(void)close(dp->lock_fd);
	dp->lock_fd = -1;
}

/* ---- What the maps hold -------------------------------------------------------------------- */

struct lb_live *dataplane_rows(struct dataplane *dp)
{
	return dp->maps.live;
}

bool dataplane_adopted(const struct dataplane *dp)
{
	return dp->adopted;
}

const struct lb_meta *dataplane_meta(struct dataplane *dp)
{
	return dp->maps.meta;
}

int dataplane_sync(struct dataplane *dp, const struct wanted *wanted, struct error *err)
{
	int rc = sync_write(&dp->sync, wanted, err);

	if (rc)
		return rc;
	if (dp->empty)
		attachments_catch_up(dp);
	dp->empty = false;
	meta_timeouts(dp->maps.meta, wanted->timeout_ms);
	neighbours_want(&dp->neighbours, wanted);
	(void)neighbours_step(&dp->neighbours);
	return 0;
}

static void change_flag(struct dataplane *dp, uint16_t backend, uint32_t flag, bool on)
{
	uint32_t flags = dp->maps.backends[backend].flags;

	if (flags & LB_BACKEND_USED || (flags & LB_BACKEND_TOMBSTONE && flag == LB_BACKEND_KILL))
		kernel_map_ops.backend_flags(&dp->maps, backend, on ? flags | flag : flags & ~flag);
}

void dataplane_set_eligible(struct dataplane *dp, uint16_t backend, bool eligible)
{
	if (sync_source_allows(&dp->sync, backend, eligible) || !eligible)
		change_flag(dp, backend, LB_BACKEND_ELIGIBLE, eligible);
}

void dataplane_set_kill(struct dataplane *dp, uint16_t backend, bool kill)
{
	change_flag(dp, backend, LB_BACKEND_KILL, kill);
}

int dataplane_sweep(struct dataplane *dp)
{
	return programs_sweep(&dp->programs);
}

void dataplane_heartbeat(struct dataplane *dp)
{
	meta_beat(dp->maps.meta);
	(void)neighbours_step(&dp->neighbours);
	(void)sync_sources_step(&dp->sync, false);
}
