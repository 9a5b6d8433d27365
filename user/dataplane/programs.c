/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "dataplane/programs.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "lb_sweep.skel.h"
#include "lb_tc.skel.h"
#include "lb_xdp.skel.h"

struct object {
	struct bpf_object *object;
	const char *name;
};

struct skeletons {
	struct lb_xdp *xdp;
	struct lb_tc *tc;
	struct lb_sweep *sweep;
};

static void destroy(struct skeletons *skeletons)
{
	lb_xdp__destroy(skeletons->xdp);
	lb_tc__destroy(skeletons->tc);
	lb_sweep__destroy(skeletons->sweep);
}

static int open_all(struct skeletons *skeletons, uint32_t max_flows, struct error *err)
{
	skeletons->xdp = lb_xdp__open();
	skeletons->tc = lb_tc__open();
	skeletons->sweep = lb_sweep__open();
	if (!skeletons->xdp || !skeletons->tc || !skeletons->sweep)
		return error_set(err, -errno, "", "cannot open the BPF objects: %s",
				 strerror(errno));
	skeletons->xdp->rodata->max_flows = max_flows;
	skeletons->tc->rodata->max_flows = max_flows;
	skeletons->sweep->rodata->max_flows = max_flows;
	return 0;
}

/* Each flow has an entry for either direction. */
static uint32_t entries_of(const char *name, uint32_t max_flows)
{
	if (strcmp(name, "lb_flows") == 0 || strcmp(name, "lb_free") == 0)
		return max_flows;
	return strcmp(name, "lb_index") == 0 ? 2 * max_flows : 0;
}

static int bind_map(struct bpf_map *map, struct maps *maps, bool remake, struct error *err)
{
	const char *name = bpf_map__name(map);
	uint32_t entries = entries_of(name, maps->max_flows);
	int fd = maps_get(maps, name);
	int rc = entries ? bpf_map__set_max_entries(map, entries) : 0;

	if (rc == 0 && fd >= 0 && !maps_fits(maps, map)) {
		if (!remake || maps_is_kept(name))
			return error_set(err, -ESTALE, "pin-path",
					 "pinned map '%s' has another layout than this build of "
					 "lbd; run 'lbd --fresh' to begin with empty tables, which "
					 "ends open flows",
					 name);
		maps_drop(maps, name);
		fd = -1;
	}
	if (rc == 0 && fd >= 0)
		rc = bpf_map__reuse_fd(map, fd);
	return rc ? error_set(err, rc, "", "cannot bind map '%s': %s", name, strerror(-rc)) : 0;
}

static int bind_maps(const struct object *object, struct maps *maps, bool remake, struct error *err)
{
	struct bpf_map *map;
	int rc = 0;

	bpf_object__for_each_map(map, object->object)
	{
		if (rc == 0 && !bpf_map__is_internal(map))
			rc = bind_map(map, maps, remake, err);
	}
	return rc;
}

static int collect_maps(const struct object *object, struct maps *maps, struct error *err)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, object->object)
	{
		const char *name = bpf_map__name(map);
		int rc = 0;

		if (!bpf_map__is_internal(map) && maps_get(maps, name) < 0)
			rc = maps_add(maps, name, bpf_map__fd(map));
		if (rc)
			return error_set(err, rc, "", "cannot keep map '%s': %s", name,
					 strerror(-rc));
	}
	return 0;
}

static int load_one(const struct object *object, struct maps *maps, bool remake, struct error *err)
{
	int rc = bind_maps(object, maps, remake, err);

	if (rc)
		return rc;
	rc = bpf_object__load(object->object);
	if (rc)
		return error_set(err, rc, "",
				 "cannot load BPF object '%s': %s (log level debug shows what the "
				 "kernel said)",
				 object->name, strerror(-rc));
	return collect_maps(object, maps, err);
}

static int keep_program(struct bpf_program *program, int *ret_fd, struct error *err)
{
	int fd = fcntl(bpf_program__fd(program), F_DUPFD_CLOEXEC, 0);

	if (fd < 0)
		return error_set(err, -errno, "", "cannot keep program '%s': %s",
				 bpf_program__name(program), strerror(errno));
	*ret_fd = fd;
	return 0;
}

static int keep_programs(const struct skeletons *skeletons, struct programs *programs,
			 struct error *err)
{
	int rc = keep_program(skeletons->xdp->progs.lb_xdp, &programs->xdp, err);

	if (rc == 0)
		rc = keep_program(skeletons->tc->progs.lb_tc, &programs->tc, err);
	if (rc == 0)
		rc = keep_program(skeletons->sweep->progs.lb_sweep_arm, &programs->sweep_arm, err);
	if (rc == 0)
		rc = keep_program(skeletons->sweep->progs.lb_sweep_now, &programs->sweep_now, err);
	return rc;
}

/* The objects go once their programs and maps are held: they keep copies of all instructions. */
int programs_load(struct programs *programs, struct maps *maps, bool remake, struct error *err)
{
	struct skeletons skeletons = {0};
	int rc = open_all(&skeletons, maps->max_flows, err);

	*programs = (struct programs)PROGRAMS_NONE;
	if (rc == 0) {
		const struct object objects[] = {
			{skeletons.xdp->obj, "lb_xdp"},
			{skeletons.tc->obj, "lb_tc"},
			{skeletons.sweep->obj, "lb_sweep"},
		};

		for (size_t i = 0; rc == 0 && i < sizeof(objects) / sizeof(*objects); i++)
			rc = load_one(&objects[i], maps, remake, err);
	}
	if (rc == 0)
		rc = keep_programs(&skeletons, programs, err);
	destroy(&skeletons);
	return rc;
}

void programs_fini(struct programs *programs)
{
	const int fds[] = {programs->xdp, programs->tc, programs->sweep_arm, programs->sweep_now};

	for (size_t i = 0; i < sizeof(fds) / sizeof(*fds); i++) {
		if (fds[i] >= 0)
			(void)close(fds[i]);
	}
	*programs = (struct programs)PROGRAMS_NONE;
}

static int run(int fd)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts);

	if (bpf_prog_test_run_opts(fd, &opts) != 0)
		return -errno;
	return (int)opts.retval < 0 ? (int)opts.retval : 0;
}

int programs_arm_sweep(const struct programs *programs, struct error *err)
{
	int rc = run(programs->sweep_arm);

	return rc ? error_set(err, rc, "", "cannot start the sweep of the flow table: %s",
			      strerror(-rc))
		  : 0;
}

int programs_sweep(const struct programs *programs)
{
	return run(programs->sweep_now);
}
