/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Loading the objects over one set of maps. */
#include "load.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lb/abi.h"

#include "lb_decap.skel.h"
#include "lb_sweep.skel.h"
#include "lb_tc.skel.h"
#include "lb_xdp.skel.h"

static struct lb_xdp *xdp;
static struct lb_tc *tc;
static struct lb_xdp *dry_xdp;
static struct lb_tc *dry_tc;
static struct lb_decap *decap;
static struct lb_sweep *sweep;

static void set_sizes(struct bpf_object *object, uint32_t max_flows)
{
	bpf_map__set_max_entries(bpf_object__find_map_by_name(object, "lb_flows"),
				 LB_RECORDS(max_flows));
	bpf_map__set_max_entries(bpf_object__find_map_by_name(object, "lb_index"),
				 LB_BUCKETS(max_flows));
	bpf_map__set_max_entries(bpf_object__find_map_by_name(object, "lb_crowds"),
				 LB_CROWDS(max_flows));
	bpf_map__set_max_entries(bpf_object__find_map_by_name(object, "lb_half"),
				 LB_HALF_FLOWS(max_flows));
}

/* The maps that the first object made are the second one's too. */
static int share(struct bpf_object *first, struct bpf_object *second)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, second)
	{
		struct bpf_map *there;
		int rc;

		if (bpf_map__is_internal(map))
			continue;
		there = bpf_object__find_map_by_name(first, bpf_map__name(map));
		rc = there ? bpf_map__reuse_fd(map, bpf_map__fd(there)) : 0;
		if (rc)
			return rc;
	}
	return 0;
}

static int load_second(struct bpf_object *object, uint32_t max_flows)
{
	int rc;

	set_sizes(object, max_flows);
	rc = share(xdp->obj, object);
	return rc ? rc : bpf_object__load(object);
}

static void set_xdp(struct lb_xdp *object, const struct load_constants *constants, uint32_t dry)
{
	object->rodata->max_flows = constants->max_flows;
	object->rodata->reply_rate = constants->reply_rate;
	object->rodata->reply_burst = constants->reply_burst;
	object->rodata->dry = dry;
}

static void set_tc(struct lb_tc *object, const struct load_constants *constants, uint32_t dry)
{
	object->rodata->max_flows = constants->max_flows;
	object->rodata->reply_rate = constants->reply_rate;
	object->rodata->reply_burst = constants->reply_burst;
	object->rodata->dry = dry;
}

static int set_constants(const struct load_constants *constants)
{
	if (!xdp || !tc || !dry_xdp || !dry_tc || !sweep)
		return -ENOMEM;
	set_xdp(xdp, constants, 0);
	set_xdp(dry_xdp, constants, 1);
	set_tc(tc, constants, 0);
	set_tc(dry_tc, constants, 1);
	sweep->rodata->max_flows = constants->max_flows;
	return 0;
}

static int open_all(void)
{
	xdp = lb_xdp__open();
	tc = lb_tc__open();
	dry_xdp = lb_xdp__open();
	dry_tc = lb_tc__open();
	decap = lb_decap__open();
	sweep = lb_sweep__open();
	return xdp && tc && dry_xdp && dry_tc && decap && sweep ? 0 : -errno;
}

static int load_all(uint32_t max_flows)
{
	int rc;

	set_sizes(xdp->obj, max_flows);
	rc = bpf_object__load(xdp->obj);
	if (rc == 0)
		rc = load_second(tc->obj, max_flows);
	if (rc == 0)
		rc = load_second(dry_xdp->obj, max_flows);
	if (rc == 0)
		rc = load_second(dry_tc->obj, max_flows);
	if (rc == 0)
		rc = load_second(sweep->obj, max_flows);
	return rc ? rc : load_second(decap->obj, max_flows);
}

int load_objects(const struct load_constants *constants, struct load_programs *ret_programs)
{
	int rc = open_all();

	if (rc == 0)
		rc = set_constants(constants);
	if (rc)
		return rc;
	rc = load_all(constants->max_flows);
	if (rc)
		return rc;
	ret_programs->xdp = bpf_program__fd(xdp->progs.lb_xdp);
	ret_programs->tc = bpf_program__fd(tc->progs.lb_tc);
	ret_programs->dry_xdp = bpf_program__fd(dry_xdp->progs.lb_xdp);
	ret_programs->dry_tc = bpf_program__fd(dry_tc->progs.lb_tc);
	ret_programs->decap = bpf_program__fd(decap->progs.lb_decap);
	ret_programs->sweep = bpf_program__fd(sweep->progs.lb_sweep_now);
	ret_programs->arm = bpf_program__fd(sweep->progs.lb_sweep_arm);
	ret_programs->clock = bpf_program__fd(sweep->progs.lb_clock);
	ret_programs->kill = bpf_program__fd(sweep->progs.lb_flow_kill);
	return 0;
}

void load_close(void)
{
	lb_sweep__destroy(sweep);
	lb_decap__destroy(decap);
	lb_tc__destroy(dry_tc);
	lb_xdp__destroy(dry_xdp);
	lb_tc__destroy(tc);
	lb_xdp__destroy(xdp);
}

const char *load_map_at(uint32_t i, int *ret_fd)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, xdp->obj)
	{
		if (bpf_map__is_internal(map) || i--)
			continue;
		*ret_fd = bpf_map__fd(map);
		return bpf_map__name(map);
	}
	return NULL;
}

int load_map(const char *name)
{
	int fd = bpf_object__find_map_fd_by_name(xdp->obj, name);

	if (fd < 0)
		(void)fprintf(stderr, "# no map '%s'\n", name);
	return fd;
}

void *load_memory(const char *name, size_t *ret_size)
{
	const struct bpf_map *map = bpf_object__find_map_by_name(xdp->obj, name);
	size_t value = map ? (bpf_map__value_size(map) + 7U) & ~7U : 0;
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t size = map ? (value * bpf_map__max_entries(map) + page - 1) & ~(page - 1) : 0;
	void *memory;

	if (!map)
		return NULL;
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);
	if (memory == MAP_FAILED)
		return NULL;
	if (ret_size)
		*ret_size = size;
	return memory;
}
