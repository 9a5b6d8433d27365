/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "dataplane/link.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "dataplane/link_clsact.h"

/* Linux 6.6, include/uapi/linux/bpf.h; older headers do not have them. */
#define TCX_INGRESS   46
#define LINK_TYPE_XDP 6
#define LINK_TYPE_TCX 11

static const char *const suffixes[LINK_KINDS] = {
	[LINK_XDP] = "_xdp",
	[LINK_TCX] = "_tcx",
	[LINK_CLSACT] = "_clsact",
};

/* ---- Pins ---------------------------------------------------------------------------------- */

void link_pin_name(const char *ifname, enum link_kind kind, char ret_name[static 64])
{
	size_t used = 0;

	for (const char *c = ifname; *c && used < 48; c++) {
		const char *escaped = *c == '.' ? "%2e" : *c == '%' ? "%25" : NULL;

		if (escaped)
			used += (size_t)snprintf(ret_name + used, 64 - used, "%s", escaped);
		else
			ret_name[used++] = *c;
	}
	(void)snprintf(ret_name + used, 64 - used, "%s", suffixes[kind]);
}

static bool parse_pin(const char *pin, char ifname[static IFNAMSIZ], enum link_kind *ret_kind)
{
	const char *end = strrchr(pin, '_');
	int kind = 0;
	size_t used = 0;

	while (end && kind < LINK_KINDS && strcmp(end, suffixes[kind]) != 0)
		kind++;
	if (!end || kind == LINK_KINDS)
		return false;
	for (const char *c = pin; c < end; c++) {
		char plain = *c;

		if (strncmp(c, "%2e", 3) == 0 || strncmp(c, "%25", 3) == 0) {
			plain = c[2] == 'e' ? '.' : '%';
			c += 2;
		}
		if (used == IFNAMSIZ - 1)
			return false;
		ifname[used++] = plain;
	}
	ifname[used] = '\0';
	*ret_kind = (enum link_kind)kind;
	return used > 0;
}

static int pin_link(const struct dataplane *dp, struct attachment *attachment, struct error *err)
{
	char path[BPFFS_PATH_LEN];
	int rc = bpffs_join(dp->path, "links", attachment->pin, path);

	if (rc == 0)
		rc = bpffs_pin(attachment->fd, path);
	return rc ? error_set(err, rc, "interface", "cannot pin the program of '%s': %s",
			      attachment->spec.name, strerror(-rc))
		  : 0;
}

/* ---- Links --------------------------------------------------------------------------------- */

/* XDP and tcx links lay out their part of the info alike: the interface's index comes first. */
static bool ask_link(int fd, uint32_t *ret_type, uint32_t *ret_ifindex)
{
	struct bpf_link_info info = {0};
	__u32 len = sizeof(info);

	if (bpf_obj_get_info_by_fd(fd, &info, &len) != 0)
		return false;
	*ret_type = info.type;
	*ret_ifindex = info.xdp.ifindex;
	return true;
}

static void program_name(uint32_t id, char name[static BPF_OBJ_NAME_LEN])
{
	struct bpf_prog_info info = {0};
	__u32 len = sizeof(info);
	int fd = bpf_prog_get_fd_by_id(id);

	(void)snprintf(name, BPF_OBJ_NAME_LEN, "?");
	if (fd < 0)
		return;
	if (bpf_obj_get_info_by_fd(fd, &info, &len) == 0)
		(void)snprintf(name, BPF_OBJ_NAME_LEN, "%s", info.name);
	(void)close(fd);
}

int link_refuse_foreign(const struct attachment *attachment, struct error *err)
{
	char name[BPF_OBJ_NAME_LEN];
	__u32 id = 0;

	if (bpf_xdp_query_id((int)attachment->ifindex, 0, &id) != 0 || id == 0)
		return 0;
	program_name(id, name);
	return error_set(
		err, -EBUSY, "interface",
		"cannot attach to '%s': XDP program '%s' (id %u) is there already; remove "
		"it ('ip link set dev %s xdp off', or end who attached it), or use hook tc",
		attachment->spec.name, name, id, attachment->spec.name);
}

static int create_link(struct dataplane *dp, struct attachment *attachment)
{
	bool generic = attachment->hook == HOOK_GENERIC;
	LIBBPF_OPTS(bpf_link_create_opts, opts);

	if (attachment->kind == LINK_TCX)
		return bpf_link_create(dp->programs.tc, (int)attachment->ifindex,
				       (enum bpf_attach_type)TCX_INGRESS, &opts);
	opts.flags = generic ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE;
	return bpf_link_create(dp->programs.xdp, (int)attachment->ifindex, BPF_XDP, &opts);
}

static int attach_bpf_link(struct dataplane *dp, struct attachment *attachment, struct error *err)
{
	int rc = attachment->kind == LINK_XDP ? link_refuse_foreign(attachment, err) : 0;
	int fd;

	if (rc)
		return rc;
	fd = create_link(dp, attachment);
	if (fd < 0)
		return error_set(err, fd, "interface", "cannot attach to '%s' with hook %s: %s",
				 attachment->spec.name,
				 strtable_name(&hook_names, attachment->hook), strerror(-fd));
	attachment->fd = fd;
	return 0;
}

/* ---- What attach sees ---------------------------------------------------------------------- */

int link_attach(struct dataplane *dp, struct attachment *attachment, struct error *err)
{
	int rc;

	attachment->fd = -1;
	attachment->kind = attachment->hook != HOOK_TC ? LINK_XDP
			   : dp->no_tcx		       ? LINK_CLSACT
						       : LINK_TCX;
	link_pin_name(attachment->spec.name, attachment->kind, attachment->pin);
	if (attachment->kind == LINK_CLSACT)
		rc = clsact_attach(dp, attachment, err);
	else
		rc = attach_bpf_link(dp, attachment, err);
	/* A kernel before 6.6 does not know this attach type. */
	if (rc == -EINVAL && attachment->kind == LINK_TCX) {
		dp->no_tcx = true;
		return link_attach(dp, attachment, err);
	}
	if (rc == 0)
		rc = pin_link(dp, attachment, err);
	if (rc && attachment->fd >= 0)
		(void)link_detach(dp->path, attachment);
	return rc;
}

int link_update(struct dataplane *dp, struct attachment *attachment, struct error *err)
{
	int program = attachment->kind == LINK_XDP ? dp->programs.xdp : dp->programs.tc;
	int rc;

	if (attachment->kind == LINK_CLSACT) {
		rc = clsact_attach(dp, attachment, err);
		return rc ? rc : pin_link(dp, attachment, err);
	}
	rc = bpf_link_update(attachment->fd, program, NULL);
	if (rc == -ENOLINK)
		return rc;
	return rc ? error_set(err, rc, "interface", "cannot replace the program on '%s': %s",
			      attachment->spec.name, strerror(-rc))
		  : 0;
}

int link_detach(const char *pin_path, struct attachment *attachment)
{
	char path[BPFFS_PATH_LEN];
	int rc = bpffs_join(pin_path, "links", attachment->pin, path);

	if (rc)
		return rc;
	if (attachment->kind == LINK_CLSACT)
		rc = clsact_detach(attachment);
	else if (attachment->fd >= 0 && bpf_link_detach(attachment->fd) != 0 && errno != ENOLINK)
		rc = -errno;
	if (rc)
		return rc;
	if (unlink(path) != 0 && errno != ENOENT)
		rc = -errno;
	if (attachment->fd >= 0)
		(void)close(attachment->fd);
	attachment->fd = -1;
	return rc;
}

static enum hook xdp_hook(uint32_t ifindex)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, opts);

	if (ifindex && bpf_xdp_query((int)ifindex, 0, &opts) == 0 &&
	    opts.attach_mode == XDP_ATTACHED_SKB)
		return HOOK_GENERIC;
	return HOOK_NATIVE;
}

/* An interface may have been renamed since; the index is what the link hangs on. */
static bool open_bpf_link(struct attachment *attachment)
{
	uint32_t expected = attachment->kind == LINK_XDP ? LINK_TYPE_XDP : LINK_TYPE_TCX;
	char ifname[IFNAMSIZ];
	uint32_t type;

	if (!ask_link(attachment->fd, &type, &attachment->ifindex) || type != expected)
		return false;
	if (attachment->ifindex && if_indextoname(attachment->ifindex, ifname))
		(void)snprintf(attachment->spec.name, sizeof(attachment->spec.name), "%s", ifname);
	attachment->hook = attachment->kind == LINK_XDP ? xdp_hook(attachment->ifindex) : HOOK_TC;
	return true;
}

int link_open(const char *pin_path, const char *pin, struct attachment *ret_attachment)
{
	struct attachment attachment = {.fd = -1, .hook = HOOK_TC};
	char path[BPFFS_PATH_LEN];

	if (strlen(pin) >= sizeof(attachment.pin) ||
	    !parse_pin(pin, attachment.spec.name, &attachment.kind) ||
	    bpffs_join(pin_path, "links", pin, path))
		return -EINVAL;
	(void)snprintf(attachment.pin, sizeof(attachment.pin), "%s", pin);
	attachment.fd = bpf_obj_get(path);
	if (attachment.fd < 0)
		return -errno;
	if (attachment.kind == LINK_CLSACT) {
		attachment.ifindex = if_nametoindex(attachment.spec.name);
	} else if (!open_bpf_link(&attachment)) {
		(void)close(attachment.fd);
		return -EINVAL;
	}
	attachment.spec.hook = attachment.hook;
	(void)snprintf(attachment.why, sizeof(attachment.why), "left by a previous lbd");
	*ret_attachment = attachment;
	return 0;
}

bool link_alive(const struct attachment *attachment)
{
	uint32_t ifindex;
	uint32_t type;

	if (attachment->ifindex == 0)
		return false;
	if (attachment->kind == LINK_CLSACT)
		return clsact_alive(attachment);
	return ask_link(attachment->fd, &type, &ifindex) && ifindex == attachment->ifindex;
}
