/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "dataplane/maps.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "dataplane/bpffs.h"

/* Records, ids and the counts of flows: these are adopted together or not at all. */
static const char *const kept[] = {"lb_flows", "lb_crowds", "lb_index",	   "lb_locks",
				   "lb_half",  "lb_live",   "lb_backends", "lb_pools",
				   "lb_snat",  "lb_vips",   "lb_ways",	   "lb_meta"};
#define N_KEPT (sizeof(kept) / sizeof(*kept))

bool maps_is_kept(const char *name)
{
	for (size_t i = 0; i < N_KEPT; i++) {
		if (strcmp(name, kept[i]) == 0)
			return true;
	}
	return false;
}

/* The kernel adds it to device maps by itself (kernel/bpf/devmap.c, dev_map_alloc). */
#define KERNELS_OWN_FLAGS BPF_F_RDONLY_PROG

static struct map_slot *slot_of(const struct maps *maps, const char *name)
{
	for (uint32_t i = 0; i < maps->count; i++) {
		if (strcmp(maps->slots[i].name, name) == 0)
			return (struct map_slot *)&maps->slots[i];
	}
	return NULL;
}

int maps_get(const struct maps *maps, const char *name)
{
	const struct map_slot *slot = slot_of(maps, name);

	return slot ? slot->fd : -1;
}

static int append(struct maps *maps, const char *name, int fd, bool pinned)
{
	struct map_slot *slot = &maps->slots[maps->count];

	if (maps->count == MAPS_MAX || strlen(name) >= sizeof(slot->name))
		return -E2BIG;
	(void)snprintf(slot->name, sizeof(slot->name), "%s", name);
	slot->fd = fd;
	slot->pinned = pinned;
	maps->count++;
	return 0;
}

int maps_add(struct maps *maps, const char *name, int fd)
{
	int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	int rc;

	if (own < 0)
		return -errno;
	rc = append(maps, name, own, false);
	if (rc)
		(void)close(own);
	return rc;
}

void maps_drop(struct maps *maps, const char *name)
{
	struct map_slot *slot = slot_of(maps, name);

	if (!slot)
		return;
	(void)close(slot->fd);
	*slot = maps->slots[--maps->count];
}

bool maps_fits(const struct maps *maps, const struct bpf_map *map)
{
	struct bpf_map_info info = {0};
	__u32 len = sizeof(info);
	int fd = maps_get(maps, bpf_map__name(map));

	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len) != 0)
		return false;
	return info.type == (__u32)bpf_map__type(map) && info.key_size == bpf_map__key_size(map) &&
	       info.value_size == bpf_map__value_size(map) &&
	       info.max_entries == bpf_map__max_entries(map) &&
	       (info.map_flags & ~KERNELS_OWN_FLAGS) == bpf_map__map_flags(map);
}

/* ---- What is pinned ------------------------------------------------------------------------ */

struct finder {
	struct maps *maps;
	const char *pin_path;
};

static int find_one(void *ctx, const char *name)
{
	struct finder *finder = ctx;
	char path[BPFFS_PATH_LEN];
	int fd;

	if (strlen(name) >= MAPS_NAME_LEN || bpffs_join(finder->pin_path, "maps", name, path))
		return 0;
	fd = bpf_obj_get(path);
	if (fd < 0)
		return 0;
	if (append(finder->maps, name, fd, true)) {
		(void)close(fd);
		return -E2BIG;
	}
	return 0;
}

uint64_t maps_netns(void)
{
	struct stat st;

	return stat("/proc/self/ns/net", &st) == 0 ? st.st_ino : 0;
}

/* Looks at the first fields only: they stay where they are in every ABI. */
static bool read_meta(int fd, struct lb_meta *ret_meta)
{
	struct bpf_map_info info = {0};
	__u32 len = sizeof(info);
	const struct lb_meta *meta;

	if (bpf_obj_get_info_by_fd(fd, &info, &len) != 0 || info.type != BPF_MAP_TYPE_ARRAY ||
	    info.value_size < offsetof(struct lb_meta, hash_seed))
		return false;
	meta = mmap(NULL, info.value_size, PROT_READ, MAP_SHARED, fd, 0);
	if (meta == MAP_FAILED)
		return false;
	memcpy(ret_meta, meta, offsetof(struct lb_meta, hash_seed));
	(void)munmap((void *)meta, info.value_size);
	return true;
}

static bool all_kept(const struct maps *maps)
{
	for (size_t i = 0; i < N_KEPT; i++) {
		if (maps_get(maps, kept[i]) < 0)
			return false;
	}
	return true;
}

enum maps_found maps_find(struct maps *maps, const char *pin_path)
{
	struct finder finder = {.maps = maps, .pin_path = pin_path};
	struct lb_meta meta = {0};

	memset(maps, 0, sizeof(*maps));
	if (bpffs_each(pin_path, "maps", find_one, &finder) != 0)
		return MAPS_FOREIGN;
	if (maps->count == 0)
		return MAPS_NONE;
	if (!read_meta(maps_get(maps, "lb_meta"), &meta) || meta.magic != LB_META_MAGIC)
		return MAPS_BROKEN;
	if (meta.netns != maps_netns())
		return MAPS_NETNS;
	if (meta.flow_abi != LB_FLOW_ABI || meta.max_flows == 0 || meta.max_flows > LB_MAX_FLOWS)
		return MAPS_FOREIGN;
	if (!all_kept(maps))
		return MAPS_BROKEN;
	maps->max_flows = meta.max_flows;
	return meta.ctl_abi == LB_CTL_ABI ? MAPS_FIT : MAPS_CONTROL;
}

int maps_remove(struct maps *maps, const char *pin_path)
{
	char path[BPFFS_PATH_LEN];

	for (uint32_t i = 0; i < maps->count; i++) {
		int rc = bpffs_join(pin_path, "maps", maps->slots[i].name, path);

		if (rc == 0 && maps->slots[i].pinned && unlink(path) != 0 && errno != ENOENT)
			rc = -errno;
		if (rc)
			return rc;
	}
	maps_fini(maps);
	return 0;
}

/* ---- Memory -------------------------------------------------------------------------------- */

struct mapping {
	const char *name;
	size_t size;
	void **memory;
};

#define N_MAPPINGS 10

static void mappings(struct maps *maps, struct mapping out[static N_MAPPINGS])
{
	const struct mapping all[N_MAPPINGS] = {
		{"lb_backends", LB_MAX_BACKENDS * sizeof(struct lb_backend),
		 (void **)&maps->backends},
		{"lb_pools", LB_MAX_POOLS * sizeof(struct lb_pool), (void **)&maps->pools},
		{"lb_slots", LB_MAX_SLOTS * sizeof(__u16), (void **)&maps->lines},
		{"lb_ends", LB_ENDS_WORDS * sizeof(__u64), (void **)&maps->ends},
		{"lb_snat", LB_MAX_SNAT * sizeof(struct lb_snat), (void **)&maps->snat},
		{"lb_vips", LB_MAX_VIPS * sizeof(struct lb_ip), (void **)&maps->vips},
		{"lb_live", LB_MAX_BACKENDS * sizeof(struct lb_live), (void **)&maps->live},
		{"lb_kills", LB_KILLS * sizeof(__u64), (void **)&maps->kills},
		{"lb_flows", LB_RECORDS(maps->max_flows) * sizeof(struct lb_flow),
		 (void **)&maps->flows},
		{"lb_meta", sizeof(struct lb_meta), (void **)&maps->meta},
	};

	memcpy(out, all, sizeof(all));
}

static int map_one(const struct maps *maps, const struct mapping *mapping, struct error *err)
{
	struct bpf_map_info info = {0};
	__u32 len = sizeof(info);
	int fd = maps_get(maps, mapping->name);
	void *memory;

	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len) != 0)
		return error_set(err, -ENOENT, "", "no map '%s'", mapping->name);
	/* Values of an array are padded to 8 bytes (kernel/bpf/arraymap.c, array_map_alloc). */
	if (info.type != BPF_MAP_TYPE_ARRAY ||
	    (size_t)info.max_entries * ((info.value_size + 7U) & ~7U) < mapping->size)
		return error_set(err, -EPROTO, "",
				 "map '%s' is smaller than this build of lbd expects",
				 mapping->name);
	memory = mmap(NULL, mapping->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		return error_set(err, -errno, "", "cannot map '%s': %s", mapping->name,
				 strerror(errno));
	*mapping->memory = memory;
	return 0;
}

int maps_map(struct maps *maps, struct error *err)
{
	const struct {
		const char *name;
		int *fd;
	} fds[] = {
		{"lb_services", &maps->services},      {"lb_prefixes", &maps->prefixes},
		{"lb_counters", &maps->counters},      {"lb_svc_stats", &maps->service_stats},
		{"lb_be_stats", &maps->backend_stats}, {"lb_devs", &maps->devs},
	};
	struct mapping all[N_MAPPINGS];
	int rc = 0;

	for (size_t i = 0; i < sizeof(fds) / sizeof(*fds); i++) {
		*fds[i].fd = maps_get(maps, fds[i].name);
		if (*fds[i].fd < 0)
			return error_set(err, -ENOENT, "", "no map '%s'", fds[i].name);
	}
	mappings(maps, all);
	for (int i = 0; rc == 0 && i < N_MAPPINGS; i++)
		rc = map_one(maps, &all[i], err);
	return rc;
}

void maps_fini(struct maps *maps)
{
	struct mapping all[N_MAPPINGS];

	if (!maps)
		return;
	mappings(maps, all);
	for (int i = 0; i < N_MAPPINGS; i++) {
		if (*all[i].memory)
			(void)munmap(*all[i].memory, all[i].size);
	}
	for (uint32_t i = 0; i < maps->count; i++)
		(void)close(maps->slots[i].fd);
	memset(maps, 0, sizeof(*maps));
}

static int publish_one(struct map_slot *slot, const char *pin_path, struct error *err)
{
	char path[BPFFS_PATH_LEN];
	int rc;

	if (slot->pinned)
		return 0;
	rc = bpffs_join(pin_path, "maps", slot->name, path);
	if (rc == 0)
		rc = bpffs_pin(slot->fd, path);
	if (rc)
		return error_set(err, rc, "pin-path", "cannot pin map '%s' below '%s': %s",
				 slot->name, pin_path, strerror(-rc));
	slot->pinned = true;
	return 0;
}

int maps_publish(struct maps *maps, const char *pin_path, struct error *err)
{
	struct map_slot *meta = slot_of(maps, "lb_meta");
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < maps->count; i++) {
		if (&maps->slots[i] != meta)
			rc = publish_one(&maps->slots[i], pin_path, err);
	}
	return rc ? rc : publish_one(meta, pin_path, err);
}

bool maps_any_new(const struct maps *maps)
{
	for (uint32_t i = 0; i < maps->count; i++) {
		if (!maps->slots[i].pinned)
			return true;
	}
	return false;
}

static uint32_t id_of(int fd)
{
	struct bpf_map_info info = {0};
	__u32 len = sizeof(info);

	return fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &len) == 0 ? info.id : 0;
}

static bool has_pin(const struct map_slot *slot, const char *pin_path)
{
	char path[BPFFS_PATH_LEN];
	uint32_t id;
	int fd;

	if (bpffs_join(pin_path, "maps", slot->name, path) != 0)
		return false;
	fd = bpf_obj_get(path);
	id = id_of(fd);
	if (fd >= 0)
		(void)close(fd);
	return id != 0 && id == id_of(slot->fd);
}

int maps_retake(struct maps *maps, const char *pin_path, struct error *err)
{
	for (uint32_t i = 0; i < maps->count; i++)
		maps->slots[i].pinned = has_pin(&maps->slots[i], pin_path);
	return maps_publish(maps, pin_path, err);
}
