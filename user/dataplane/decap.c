/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "dataplane/decap.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "dataplane/bpffs.h"
#include "dataplane/link.h"
#include "dataplane/log_libbpf.h"
#include "dataplane/requirements.h"
#include "lb_decap.skel.h"

#define DIR_LEN 64

/* Containers may share the file system and have interfaces of the same name. */
static void directory(char ret_path[static DIR_LEN])
{
	(void)snprintf(ret_path, DIR_LEN, DECAP_PATH "-%" PRIu64, maps_netns());
}

static int pin_of(const char *ifname, char ret_path[static BPFFS_PATH_LEN])
{
	char name[64];
	char path[DIR_LEN];

	directory(path);
	link_pin_name(ifname, LINK_XDP, name);
	return bpffs_join(path, "links", name, ret_path);
}

/* The program uses no map: those of its headers are not made. */
static struct bpf_object *load(struct error *err)
{
	size_t size;
	const void *bytes = lb_decap__elf_bytes(&size);
	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = "lb_decap");
	struct bpf_object *object = bpf_object__open_mem(bytes, size, &opts);
	struct bpf_map *map;
	int rc = object ? 0 : -errno;

	if (object) {
		bpf_object__for_each_map(map, object)
		{
			if (!bpf_map__is_internal(map))
				(void)bpf_map__set_autocreate(map, false);
		}
		rc = bpf_object__load(object);
	}
	if (rc == 0)
		return object;
	error_set(err, rc, "", "cannot load BPF object 'lb_decap': %s", strerror(-rc));
	bpf_object__close(object);
	return NULL;
}

/* In the driver if it can, else behind it: a backend's stack is the next stop anyway. */
static int make_link(int program, unsigned int ifindex)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = XDP_FLAGS_DRV_MODE);
	int fd = bpf_link_create(program, (int)ifindex, BPF_XDP, &opts);

	if (fd >= 0 || errno == EBUSY)
		return fd >= 0 ? fd : -errno;
	opts.flags = XDP_FLAGS_SKB_MODE;
	fd = bpf_link_create(program, (int)ifindex, BPF_XDP, &opts);
	return fd >= 0 ? fd : -errno;
}

static int attach(const struct bpf_object *object, const char *ifname, const char *pin,
		  struct error *err)
{
	const struct bpf_program *program = bpf_object__find_program_by_name(object, "lb_decap");
	unsigned int ifindex = if_nametoindex(ifname);
	int fd;
	int rc;

	if (!ifindex)
		return error_set(err, -ENODEV, "interface", "there is no interface '%s'", ifname);
	fd = make_link(bpf_program__fd(program), ifindex);
	if (fd == -EBUSY)
		return error_set(err, fd, "interface",
				 "interface '%s' has another XDP program; detach it first", ifname);
	if (fd < 0)
		return error_set(err, fd, "interface", "cannot attach to '%s': %s", ifname,
				 strerror(-fd));
	rc = bpffs_pin(fd, pin);
	(void)close(fd);
	return rc ? error_set(err, rc, "", "cannot pin '%s': %s", pin, strerror(-rc)) : 0;
}

/* A pin outlives its device, and may be another's of that name. */
static bool attached_at(const char *pin, unsigned int ifindex)
{
	struct bpf_link_info info = {0};
	__u32 len = sizeof(info);
	int fd = bpf_obj_get(pin);
	bool alive;

	if (fd < 0)
		return false;
	alive = bpf_obj_get_info_by_fd(fd, &info, &len) == 0 && ifindex &&
		info.xdp.ifindex == ifindex;
	(void)close(fd);
	return alive;
}

int decap_attach(const char *ifname, struct error *err)
{
	char path[DIR_LEN];
	char real[BPFFS_PATH_LEN];
	char pin[BPFFS_PATH_LEN];
	struct bpf_object *object;
	int rc = requirements_check(err);

	directory(path);
	if (rc == 0)
		rc = bpffs_make(path, real, err);
	if (rc)
		return rc;
	if (pin_of(ifname, pin))
		return error_set(err, -ENAMETOOLONG, "interface", "'%s' is no interface", ifname);
	if (attached_at(pin, if_nametoindex(ifname)))
		return 0;
	log_libbpf();
	object = load(err);
	if (!object)
		return -EIO;
	rc = attach(object, ifname, pin, err);
	bpf_object__close(object);
	return rc;
}

int decap_detach(const char *ifname, struct error *err)
{
	char pin[BPFFS_PATH_LEN];
	char path[DIR_LEN];

	if (pin_of(ifname, pin) == 0 && unlink(pin) == 0) {
		directory(path);
		bpffs_remove(path); /* unless another interface still has it */
		return 0;
	}
	return error_set(err, -ENOENT, "interface", "lbd decap is not attached to '%s'", ifname);
}
