/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "dataplane/attachment.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "dataplane/doctor_facts.h"
#include "dataplane/link.h"

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

void attachment_unlist(const struct dataplane *dp, const struct attachment *attachment)
{
	if (attachment->ifindex && attachment->hook == HOOK_NATIVE)
		(void)bpf_map_delete_elem(dp->maps.devs, &attachment->ifindex);
}

/* ---- One hook, and another ------------------------------------------------------------------ */

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

void attachment_choose(struct attachment *attachment)
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

int attachment_make(struct dataplane *dp, struct attachment *attachment, struct error *err)
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

void attachment_keep(const struct dataplane *dp, struct attachment *old,
		     const struct attachment *new)
{
	old->spec = new->spec;
	old->asked = true;
	memcpy(old->why, new->why, sizeof(old->why));
	list_device(dp, old);
}

/* The old one keeps its place and state; only program and wishes are new. */
int attachment_renew(struct dataplane *dp, struct attachment *old, const struct attachment *new,
		     struct error *err)
{
	int rc = link_update(dp, old, err);

	if (rc == 0)
		attachment_keep(dp, old, new);
	return rc;
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
int attachment_change(struct dataplane *dp, struct attachment *old, struct attachment *new,
		      struct error *err)
{
	bool old_first = old->kind == LINK_XDP && new->hook != HOOK_TC;
	struct attachment gone = *old;
	int rc;

	if (old_first && link_detach(dp->path, &gone) != 0)
		return error_set(err, -EIO, "interface", "cannot detach from '%s'", gone.spec.name);
	rc = attachment_make(dp, new, err);
	if (rc && old_first) {
		if (attachment_make(dp, &gone, NULL) == 0)
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

bool attachment_is_at(const struct attachment *old, const struct attachment *new)
{
	return link_alive(old) && old->hook == new->hook && old->ifindex == new->ifindex;
}

/* Its device is gone, and another may have the name. */
int attachment_replace_dead(struct dataplane *dp, struct attachment *old, struct attachment *new,
			    struct error *err)
{
	int rc;

	(void)link_detach(dp->path, old);
	rc = attachment_make(dp, new, err);
	if (rc)
		lose(old);
	else
		*old = *new;
	return rc;
}
