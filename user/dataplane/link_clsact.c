/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "dataplane/link_clsact.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <string.h>
#include <unistd.h>

#define OUR_PROGRAM "lb_tc"
#define MAX_MAP_IDS 64

/* The program at our place, or 0. */
static uint32_t filter_program(uint32_t ifindex)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)ifindex, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = CLSACT_HANDLE, .priority = CLSACT_PRIORITY);

	return bpf_tc_query(&hook, &opts) == 0 ? opts.prog_id : 0;
}

static bool ask_program(int fd, struct bpf_prog_info *info, __u32 *ids, __u32 max_ids)
{
	__u32 len = sizeof(*info);

	memset(info, 0, sizeof(*info));
	info->map_ids = (__u64)(uintptr_t)ids;
	info->nr_map_ids = max_ids;
	return bpf_obj_get_info_by_fd(fd, info, &len) == 0;
}

static uint32_t program_id(int fd)
{
	struct bpf_prog_info info;

	return fd >= 0 && ask_program(fd, &info, NULL, 0) ? info.id : 0;
}

static uint32_t map_id(int fd)
{
	struct bpf_map_info info = {0};
	__u32 len = sizeof(info);

	return fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &len) == 0 ? info.id : 0;
}

/* Of our name and bound to our flow table: what a daemon left that was killed before it pinned. */
static bool uses_our_flows(const struct dataplane *dp, uint32_t id)
{
	uint32_t flows = map_id(maps_get(&dp->maps, "lb_flows"));
	__u32 ids[MAX_MAP_IDS] = {0};
	struct bpf_prog_info info;
	bool ours = false;
	int fd = bpf_prog_get_fd_by_id(id);

	if (fd < 0)
		return false;
	if (flows && ask_program(fd, &info, ids, MAX_MAP_IDS) &&
	    strcmp(info.name, OUR_PROGRAM) == 0) {
		for (__u32 i = 0; i < MAX_MAP_IDS && i < info.nr_map_ids; i++)
			ours = ours || ids[i] == flows;
	}
	(void)close(fd);
	return ours;
}

static int refuse_foreign(const struct dataplane *dp, const struct attachment *attachment,
			  uint32_t there, struct error *err)
{
	if (there == 0 || there == program_id(attachment->fd) || uses_our_flows(dp, there))
		return 0;
	return error_set(
		err, -EBUSY, "interface",
		"cannot attach to '%s': program %u is there already as a filter of priority "
		"%d; remove it ('tc filter del dev %s ingress prio %d'), or use hook native",
		attachment->spec.name, there, CLSACT_PRIORITY, attachment->spec.name,
		CLSACT_PRIORITY);
}

int clsact_attach(struct dataplane *dp, struct attachment *attachment, struct error *err)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)attachment->ifindex,
		    .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = CLSACT_HANDLE, .priority = CLSACT_PRIORITY,
		    .prog_fd = dp->programs.tc);
	uint32_t there = filter_program(attachment->ifindex);
	int rc = refuse_foreign(dp, attachment, there, err);
	int fd;

	if (rc)
		return rc;
	fd = fcntl(dp->programs.tc, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return error_set(err, -errno, "interface", "%s", strerror(errno));
	rc = bpf_tc_hook_create(&hook);
	opts.flags = there ? BPF_TC_F_REPLACE : 0;
	if (rc == 0 || rc == -EEXIST)
		rc = bpf_tc_attach(&hook, &opts);
	if (rc) {
		(void)close(fd);
		return error_set(err, rc, "interface", "cannot attach to '%s' with hook tc: %s",
				 attachment->spec.name, strerror(-rc));
	}
	if (attachment->fd >= 0)
		(void)close(attachment->fd);
	attachment->fd = fd;
	return 0;
}

int clsact_detach(struct attachment *attachment)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)attachment->ifindex,
		    .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = CLSACT_HANDLE, .priority = CLSACT_PRIORITY);
	int rc;

	if (!clsact_alive(attachment))
		return 0;
	rc = bpf_tc_detach(&hook, &opts);
	return rc == -ENOENT ? 0 : rc;
}

bool clsact_alive(const struct attachment *attachment)
{
	uint32_t id = attachment->ifindex ? filter_program(attachment->ifindex) : 0;

	return id != 0 && id == program_id(attachment->fd);
}
