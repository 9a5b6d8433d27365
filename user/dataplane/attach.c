/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <bpf/bpf.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "dataplane/doctor_facts.h"
#include "dataplane/link.h"

/* ---- The list ------------------------------------------------------------------------------ */

static struct attachment *find(struct dataplane *dp, const char *ifname)
{
	for (uint32_t i = 0; i < dp->n_attachments; i++) {
		if (strcmp(dp->attachments[i].spec.name, ifname) == 0)
			return &dp->attachments[i];
	}
	return NULL;
}

static int load_one(void *ctx, const char *pin)
{
	struct dataplane *dp = ctx;
	struct attachment attachment;

	if (dp->n_attachments == MAX_ATTACHMENTS)
		return -E2BIG;
	if (link_open(dp->path, pin, &attachment) == 0)
		dp->attachments[dp->n_attachments++] = attachment;
	else
		log_warning("pin '%s' is no link of lbd, left alone", pin);
	return 0;
}

int attachments_load(struct dataplane *dp)
{
	return bpffs_each(dp->path, "links", load_one, dp);
}

void attachments_fini(struct dataplane *dp)
{
	for (uint32_t i = 0; i < dp->n_attachments; i++) {
		if (dp->attachments[i].fd >= 0)
			(void)close(dp->attachments[i].fd);
	}
	dp->n_attachments = 0;
}

static void drop(struct dataplane *dp, struct attachment *attachment)
{
	*attachment = dp->attachments[--dp->n_attachments];
}

/* ---- Where XDP may redirect to ------------------------------------------------------------- */

static void list_device(const struct dataplane *dp, const struct attachment *attachment)
{
	/* The value may be an index, or an index and a program (struct bpf_devmap_val). */
	struct bpf_devmap_val value = {.ifindex = attachment->ifindex};
	bool listed = attachment->hook == HOOK_NATIVE;
	int rc;

	if (listed)
		rc = bpf_map_update_elem(dp->maps.devs, &attachment->ifindex, &value, BPF_ANY);
	else
		rc = bpf_map_delete_elem(dp->maps.devs, &attachment->ifindex);
	if (rc && listed)
		log_warning("cannot list '%s' for XDP redirects: %s", attachment->spec.name,
			    strerror(errno));
}

static void unlist_device(const struct dataplane *dp, const struct attachment *attachment)
{
	if (attachment->ifindex && attachment->hook == HOOK_NATIVE)
		(void)bpf_map_delete_elem(dp->maps.devs, &attachment->ifindex);
}

/* ---- Attach -------------------------------------------------------------------------------- */

static int unknown_interface(const char *ifname, struct error *err)
{
	struct if_nameindex *all = if_nameindex();
	char names[256] = "";
	size_t used = 0;

	for (const struct if_nameindex *one = all; one && one->if_index; one++) {
		int len = snprintf(names + used, sizeof(names) - used, "%s%s", used ? ", " : "",
				   one->if_name);

		if (len < 0 || used + (size_t)len >= sizeof(names))
			break;
		used += (size_t)len;
	}
	names[used] = '\0';
	if_freenameindex(all);
	return error_set(err, -ENODEV, "interface", "no interface '%s'; there are: %s", ifname,
			 names);
}

/* What GRO merged is not linear, so generic XDP copies it, or is not asked at all. */
static void warn_of_gro(struct attachment *attachment)
{
	const char *ifname = attachment->spec.name;
	struct offloads offloads;

	offloads_ask(ifname, &offloads);
	if (!offloads.gro)
		return;
	(void)snprintf(attachment->why, sizeof(attachment->why),
		       "as configured; but GRO is on, and generic XDP loses packets that it "
		       "merges: 'ethtool -K %s gro off'",
		       ifname);
	log_warning("hook generic on '%s': GRO is on, and packets that it merges are lost; "
		    "'ethtool -K %s gro off' turns it off",
		    ifname, ifname);
}

static void choose(struct attachment *attachment)
{
	struct hook_facts facts;

	attachment->hook = attachment->spec.hook;
	(void)snprintf(attachment->why, sizeof(attachment->why), "as configured");
	if (attachment->hook == HOOK_GENERIC)
		warn_of_gro(attachment);
	if (attachment->spec.hook != HOOK_AUTO)
		return;
	hook_ask(attachment->spec.name, attachment->ifindex, &facts);
	attachment->hook = hook_choose(&facts, attachment->why);
}

static int attach_new(struct dataplane *dp, struct attachment *attachment, struct error *err)
{
	int rc = link_attach(dp, attachment, err);

	if ((rc == -EOPNOTSUPP || rc == -EINVAL) && attachment->spec.hook == HOOK_AUTO &&
	    attachment->hook == HOOK_NATIVE) {
		(void)snprintf(attachment->why, sizeof(attachment->why),
			       "auto: the driver takes no XDP program here (%s); TC costs more per "
			       "packet than native XDP",
			       strerror(-rc));
		attachment->hook = HOOK_TC;
		rc = link_attach(dp, attachment, err);
	}
	if (rc == 0)
		list_device(dp, attachment);
	return rc;
}

/* The old one keeps its place and state; only program and wishes are new. */
static int renew(struct dataplane *dp, struct attachment *old, const struct attachment *new,
		 struct error *err)
{
	int rc = link_update(dp, old, err);

	if (rc)
		return rc;
	old->spec = new->spec;
	old->asked = true;
	memcpy(old->why, new->why, sizeof(old->why));
	list_device(dp, old);
	return 0;
}

/* Nothing is attached there now: tried again when links change. */
static void lose(struct attachment *attachment)
{
	attachment->fd = -1;
	attachment->ifindex = 0;
}

/*
 * Packets see one of both programs at any time, but for native <-> generic: the kernel does not
 * run both on one device (net/core/dev.c, dev_xdp_attach), so the old one goes first, and comes
 * back when the new one is refused.
 */
static int change_hook(struct dataplane *dp, struct attachment *old, struct attachment *new,
		       struct error *err)
{
	bool old_first = old->kind == LINK_XDP && new->hook != HOOK_TC;
	struct attachment gone = *old;
	int rc;

	if (old_first && link_detach(dp->path, &gone) != 0)
		return error_set(err, -EIO, "interface", "cannot detach from '%s'", gone.spec.name);
	rc = attach_new(dp, new, err);
	if (rc && old_first) {
		if (attach_new(dp, &gone, NULL) == 0)
			*old = gone;
		else
			lose(old);
		return rc;
	}
	if (rc)
		return rc;
	if (!old_first && link_detach(dp->path, &gone) != 0)
		log_warning("cannot detach the former program from '%s'", gone.spec.name);
	*old = *new;
	return 0;
}

static bool same_place(const struct attachment *old, const struct attachment *new)
{
	return link_alive(old) && old->hook == new->hook && old->ifindex == new->ifindex;
}

/* Its device is gone, and another may have the name. */
static int replace_dead(struct dataplane *dp, struct attachment *old, struct attachment *new,
			struct error *err)
{
	int rc;

	(void)link_detach(dp->path, old);
	rc = attach_new(dp, new, err);
	if (rc)
		lose(old);
	else
		*old = *new;
	return rc;
}

/* A daemon that was killed between two hooks left both. */
static struct attachment *find_former(struct dataplane *dp, const struct attachment *new)
{
	for (uint32_t i = 0; i < dp->n_attachments; i++) {
		if (strcmp(dp->attachments[i].spec.name, new->spec.name) == 0 &&
		    same_place(&dp->attachments[i], new))
			return &dp->attachments[i];
	}
	return find(dp, new->spec.name);
}

static int attach(struct dataplane *dp, struct attachment *new, struct error *err)
{
	struct attachment *old = find_former(dp, new);
	int rc;

	if (old && same_place(old, new)) {
		rc = renew(dp, old, new, err);
		if (rc != -ENOLINK)
			return rc;
	}
	if (old && !(link_alive(old) && old->ifindex == new->ifindex))
		return replace_dead(dp, old, new, err);
	if (old)
		return change_hook(dp, old, new, err);
	if (dp->n_attachments == MAX_ATTACHMENTS)
		return error_set(err, -ENOSPC, "interface", "at most %d interfaces",
				 MAX_ATTACHMENTS);
	rc = attach_new(dp, new, err);
	if (rc == 0)
		dp->attachments[dp->n_attachments++] = *new;
	return rc;
}

static void say_gone(struct attachment *attachment)
{
	log_warning("interface '%s' is gone; attached again when it returns",
		    attachment->spec.name);
	(void)snprintf(attachment->why, sizeof(attachment->why),
		       "the interface is gone; attached again when it returns");
	attachment->ifindex = 0;
}

/* One that lbd was attached to before is no slip of the pen: the others do not wait for it. */
static bool await_return(struct dataplane *dp, const struct interface_spec *iface)
{
	struct attachment *old = find(dp, iface->name);

	if (!old)
		return false;
	old->spec = *iface;
	old->asked = true;
	say_gone(old);
	return true;
}

int dataplane_attach(struct dataplane *dp, const struct interface_spec *iface, struct error *err)
{
	struct attachment new = {.spec = *iface, .fd = -1, .asked = true};
	int rc;

	new.ifindex = if_nametoindex(iface->name);
	if (new.ifindex == 0)
		return await_return(dp, iface) ? 0 : unknown_interface(iface->name, err);
	choose(&new);
	rc = attach(dp, &new, err);
	if (rc == 0)
		log_info("attached to '%s' with hook %s (%s)", iface->name,
			 strtable_name(&hook_names, find(dp, iface->name)->hook),
			 find(dp, iface->name)->why);
	return rc;
}

static int detach(struct dataplane *dp, struct attachment *attachment, struct error *err)
{
	int rc;

	unlist_device(dp, attachment);
	rc = link_detach(dp->path, attachment);
	if (rc)
		return error_set(err, rc, "interface", "cannot detach from '%s': %s",
				 attachment->spec.name, strerror(-rc));
	drop(dp, attachment);
	return 0;
}

int dataplane_detach(struct dataplane *dp, const char *ifname, struct error *err)
{
	struct attachment *attachment = find(dp, ifname);

	if (!attachment)
		return error_set(err, -ENOENT, "interface", "lbd is not attached to '%s'", ifname);
	return detach(dp, attachment, err);
}

void dataplane_detach_others(struct dataplane *dp)
{
	struct error err = {0};

	/* The last one takes the place of one that goes. */
	for (uint32_t i = dp->n_attachments; i > 0; i--) {
		struct attachment other = dp->attachments[i - 1];

		if (other.asked)
			continue;
		if (detach(dp, &dp->attachments[i - 1], &err) == 0)
			log_info("detached from '%s' (%s): not in the configuration any more",
				 other.spec.name, strtable_name(&hook_names, other.hook));
		else
			log_error("%s", err.message);
	}
}

/* ---- Devices that come and go -------------------------------------------------------------- */

/* Each change of a link is an attempt: the same words are not said twice. */
static void say_failed(struct attachment *attachment, const struct error *err)
{
	char why[HOOK_WHY_LEN];

	(void)snprintf(why, sizeof(why), "%.*s", (int)sizeof(why) - 1, err->message);
	if (!attachment || strcmp(attachment->why, why) == 0)
		return;
	log_error("not attached again: %s", err->message);
	memcpy(attachment->why, why, sizeof(why));
}

void attachments_refresh(struct dataplane *dp)
{
	struct interface_spec lost[MAX_ATTACHMENTS];
	uint32_t n_lost = 0;

	for (uint32_t i = 0; i < dp->n_attachments; i++) {
		struct attachment *attachment = &dp->attachments[i];

		if (link_alive(attachment))
			continue;
		if (attachment->ifindex)
			say_gone(attachment);
		if (attachment->asked && if_nametoindex(attachment->spec.name))
			lost[n_lost++] = attachment->spec;
	}
	for (uint32_t i = 0; i < n_lost; i++) {
		struct error err = {0};

		if (dataplane_attach(dp, &lost[i], &err) != 0)
			say_failed(find(dp, lost[i].name), &err);
	}
}

uint32_t dataplane_interfaces(struct dataplane *dp, struct dataplane_interface *out, uint32_t size)
{
	for (uint32_t i = 0; i < dp->n_attachments && i < size; i++) {
		const struct attachment *attachment = &dp->attachments[i];

		out[i] = (struct dataplane_interface){
			.ifindex = attachment->ifindex,
			.hook = attachment->hook,
			.configured_auto = attachment->spec.hook == HOOK_AUTO,
		};
		memcpy(out[i].name, attachment->spec.name, sizeof(out[i].name));
		memcpy(out[i].why, attachment->why, sizeof(out[i].why));
	}
	return dp->n_attachments;
}
