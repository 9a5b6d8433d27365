/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "dataplane/programs.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lb_sweep.skel.h"
#include "lb_tc.skel.h"
#include "lb_xdp.skel.h"

#define N_OBJECTS 3

/* The ticks are seen as they begin, within microseconds: four of them tell all usual HZ apart. */
#define TICKS_MEASURED 4

struct object {
	const char *name;
	struct bpf_object *object;
};

static struct bpf_object *open_bytes(const char *name, const void *bytes, size_t size)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = name);

	return bpf_object__open_mem(bytes, size, &opts);
}

static void destroy(struct object objects[static N_OBJECTS])
{
	for (int i = 0; i < N_OBJECTS; i++)
		bpf_object__close(objects[i].object);
}

/* Where the program's constant of this name lies in .rodata; -ENOENT without one. */
static int find_constant(const struct bpf_object *object, const char *name)
{
	const struct btf *btf = bpf_object__btf(object);
	int section = btf ? btf__find_by_name_kind(btf, ".rodata", BTF_KIND_DATASEC) : -ENOENT;
	const struct btf_type *type = section > 0 ? btf__type_by_id(btf, (__u32)section) : NULL;

	for (__u32 i = 0; type && i < btf_vlen(type); i++) {
		const struct btf_var_secinfo *info = &btf_var_secinfos(type)[i];
		const struct btf_type *var = btf__type_by_id(btf, info->type);

		if (strcmp(btf__name_by_offset(btf, var->name_off), name) == 0)
			return info->size == sizeof(uint32_t) ? (int)info->offset : -EPROTO;
	}
	return -ENOENT;
}

static int set_constant(struct bpf_object *object, const char *name, uint32_t value)
{
	struct bpf_map *rodata = bpf_object__find_map_by_name(object, ".rodata");
	int offset = find_constant(object, name);
	size_t size = 0;
	const void *old = rodata ? bpf_map__initial_value(rodata, &size) : NULL;
	char *values;
	int rc;

	if (offset < 0)
		return offset;
	if (!old || (size_t)offset + sizeof(value) > size)
		return -EPROTO;
	values = malloc(size);
	if (!values)
		return -ENOMEM;
	memcpy(values, old, size);
	memcpy(values + offset, &value, sizeof(value));
	rc = bpf_map__set_initial_value(rodata, values, size);
	free(values);
	return rc;
}

static int open_all(struct object objects[static N_OBJECTS], uint32_t max_flows, struct error *err)
{
	size_t size;
	const void *bytes = lb_xdp__elf_bytes(&size);

	objects[0] = (struct object){"lb_xdp", open_bytes("lb_xdp", bytes, size)};
	bytes = lb_tc__elf_bytes(&size);
	objects[1] = (struct object){"lb_tc", open_bytes("lb_tc", bytes, size)};
	bytes = lb_sweep__elf_bytes(&size);
	objects[2] = (struct object){"lb_sweep", open_bytes("lb_sweep", bytes, size)};
	for (int i = 0; i < N_OBJECTS; i++) {
		int rc = objects[i].object ? set_constant(objects[i].object, "max_flows", max_flows)
					   : -errno;

		if (rc)
			return error_set(err, rc, "", "cannot open BPF object '%s': %s",
					 objects[i].name, strerror(-rc));
	}
	return 0;
}

/* How many entries a map has that is as large as the flow table, 0: a map of fixed size. */
static uint32_t entries_of(const char *name, uint32_t max_flows)
{
	if (strcmp(name, "lb_flows") == 0)
		return LB_RECORDS(max_flows);
	if (strcmp(name, "lb_crowds") == 0)
		return LB_CROWDS(max_flows);
	if (strcmp(name, "lb_half") == 0)
		return LB_HALF_FLOWS(max_flows);
	return strcmp(name, "lb_index") == 0 ? LB_BUCKETS(max_flows) : 0;
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

static int keep_program(const struct object *object, const char *name, int *ret_fd,
			struct error *err)
{
	const struct bpf_program *program = bpf_object__find_program_by_name(object->object, name);
	int fd = program ? fcntl(bpf_program__fd(program), F_DUPFD_CLOEXEC, 0) : -1;

	if (!program)
		return error_set(err, -ENOENT, "", "no program '%s' in BPF object '%s'", name,
				 object->name);
	if (fd < 0)
		return error_set(err, -errno, "", "cannot keep program '%s': %s", name,
				 strerror(errno));
	*ret_fd = fd;
	return 0;
}

static int keep_programs(const struct object objects[static N_OBJECTS], struct programs *programs,
			 struct error *err)
{
	int rc = keep_program(&objects[0], "lb_xdp", &programs->xdp, err);

	if (rc == 0)
		rc = keep_program(&objects[1], "lb_tc", &programs->tc, err);
	if (rc == 0)
		rc = keep_program(&objects[2], "lb_sweep_arm", &programs->sweep_arm, err);
	if (rc == 0)
		rc = keep_program(&objects[2], "lb_sweep_now", &programs->sweep_now, err);
	if (rc == 0)
		rc = keep_program(&objects[2], "lb_clock", &programs->clock, err);
	if (rc == 0)
		rc = keep_program(&objects[2], "lb_flows_kill", &programs->flows_kill, err);
	return rc;
}

/* The objects go once their programs and maps are held: they keep copies of all instructions. */
int programs_load(struct programs *programs, struct maps *maps, bool remake, struct error *err)
{
	struct object objects[N_OBJECTS] = {0};
	int rc = open_all(objects, maps->max_flows, err);

	*programs = (struct programs)PROGRAMS_NONE;
	for (int i = 0; rc == 0 && i < N_OBJECTS; i++)
		rc = load_one(&objects[i], maps, remake, err);
	if (rc == 0)
		rc = keep_programs(objects, programs, err);
	destroy(objects);
	return rc;
}

void programs_fini(struct programs *programs)
{
	const int fds[] = {programs->xdp,	programs->tc,	 programs->sweep_arm,
			   programs->sweep_now, programs->clock, programs->flows_kill};

	for (size_t i = 0; i < sizeof(fds) / sizeof(*fds); i++) {
		if (fds[i] >= 0)
			(void)close(fds[i]);
	}
	*programs = (struct programs)PROGRAMS_NONE;
}

/* ---- Dry loads ----------------------------------------------------------------------------- */

/* What a run writes while it goes: a live packet on the same CPU has its own. */
static bool is_scratch(const char *name)
{
	static const char *const names[] = {"lb_packet", "lb_scratch", "lb_answer", "lb_bucket",
					    "lb_told",	 "lb_trace",   "lb_icmp"};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (strcmp(name, names[i]) == 0)
			return true;
	}
	return false;
}

static int bind_dry(const struct object *object, const struct maps *maps)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, object->object)
	{
		const char *name = bpf_map__name(map);
		int rc = 0;

		if (!bpf_map__is_internal(map) && !is_scratch(name))
			rc = bpf_map__reuse_fd(map, maps_get(maps, name));
		if (rc)
			return rc;
	}
	return 0;
}

static int load_dry(const struct object *object, const struct maps *maps, struct dry *dry)
{
	int rc = set_constant(object->object, "max_flows", maps->max_flows);
	int fd;

	if (rc == 0)
		rc = set_constant(object->object, "dry", 1);
	if (rc == 0)
		rc = bind_dry(object, maps);
	if (rc == 0)
		rc = bpf_object__load(object->object);
	if (rc)
		return rc;
	rc = keep_program(object, object->name, &dry->program, NULL);
	fd = bpf_object__find_map_fd_by_name(object->object, "lb_trace");
	dry->trace = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
	return rc == 0 && dry->trace < 0 ? -ENOENT : rc;
}

int dry_load(struct dry *dry, const struct maps *maps, bool tc, struct error *err)
{
	struct object object = {.name = tc ? "lb_tc" : "lb_xdp"};
	size_t size = 0;
	const void *bytes = tc ? lb_tc__elf_bytes(&size) : lb_xdp__elf_bytes(&size);
	int rc;

	if (dry->program >= 0)
		return 0;
	object.object = open_bytes(object.name, bytes, size);
	rc = object.object ? load_dry(&object, maps, dry) : -errno;
	bpf_object__close(object.object);
	if (rc) {
		dry_fini(dry);
		return error_set(err, rc, "", "cannot load BPF object '%s' for a trace: %s",
				 object.name, strerror(-rc));
	}
	return 0;
}

void dry_fini(struct dry *dry)
{
	if (dry->program >= 0)
		(void)close(dry->program);
	if (dry->trace >= 0)
		(void)close(dry->trace);
	*dry = (struct dry)DRY_NONE;
}

/* ---- Runs ---------------------------------------------------------------------------------- */

/* The program reads and writes <ctx>. */
static int run(int fd, void *ctx, uint32_t size)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = ctx, .ctx_size_in = size);

	if (bpf_prog_test_run_opts(fd, &opts) != 0)
		return -errno;
	return (int)opts.retval < 0 ? (int)opts.retval : 0;
}

int programs_arm_sweep(const struct programs *programs, struct error *err)
{
	int rc = run(programs->sweep_arm, NULL, 0);

	return rc ? error_set(err, rc, "", "cannot start the sweep of the flow table: %s",
			      strerror(-rc))
		  : 0;
}

int programs_sweep(const struct programs *programs)
{
	return run(programs->sweep_now, NULL, 0);
}

int programs_flows_kill(const struct programs *programs, uint32_t count)
{
	return run(programs->flows_kill, &count, sizeof(count));
}

/* As struct clock of bpf/lb_sweep.bpf.c. */
struct clock {
	uint64_t ticks;
	uint64_t ns;
};

int programs_tick(const struct programs *programs, uint32_t *ret_tick_ns, uint32_t *ret_now)
{
	struct clock first;
	struct clock last;
	int rc = run(programs->clock, &first, sizeof(first));

	if (rc)
		return rc;
	do {
		rc = run(programs->clock, &last, sizeof(last));
	} while (rc == 0 && last.ticks - first.ticks < TICKS_MEASURED);
	if (rc)
		return rc;
	*ret_tick_ns = (uint32_t)((last.ns - first.ns) / (last.ticks - first.ticks));
	*ret_now = (uint32_t)last.ticks;
	return 0;
}
