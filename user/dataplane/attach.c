/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "dataplane/attachment.h"
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

/* A daemon that was killed between two hooks left both. */
static struct attachment *find_former(struct dataplane *dp, const struct attachment *new)
{
	for (uint32_t i = 0; i < dp->n_attachments; i++) {
		if (strcmp(dp->attachments[i].spec.name, new->spec.name) == 0 &&
		    attachment_is_at(&dp->attachments[i], new))
			return &dp->attachments[i];
	}
	return find(dp, new->spec.name);
}

/* Our program would find nothing in maps that were made anew: packets stay with the one before, and
 * its maps, until the first sync. */
static int renew(struct dataplane *dp, struct attachment *old, const struct attachment *new,
		 struct error *err)
{
	if (!dp->empty)
		return attachment_renew(dp, old, new, err);
	old->late = true;
	attachment_keep(dp, old, new);
	return 0;
}

void attachments_catch_up(struct dataplane *dp)
{
	for (uint32_t i = 0; i < dp->n_attachments; i++) {
		struct attachment *attachment = &dp->attachments[i];
		struct error err = {0};
		int rc = attachment->late ? link_update(dp, attachment, &err) : 0;

		attachment->late = false;
		if (rc && rc != -ENOLINK) /* a device that is gone is looked after elsewhere */
			log_error("%s", err.message);
	}
}

static int attach(struct dataplane *dp, struct attachment *new, struct error *err)
{
	struct attachment *old = find_former(dp, new);
	int rc;

	if (old && attachment_is_at(old, new)) {
		rc = renew(dp, old, new, err);
		if (rc != -ENOLINK)
			return rc;
	}
	if (old && !(link_alive(old) && old->ifindex == new->ifindex))
		return attachment_replace_dead(dp, old, new, err);
	if (old)
		return attachment_change(dp, old, new, err);
	if (dp->n_attachments == MAX_ATTACHMENTS)
		return error_set(err, -ENOSPC, "interface", "at most %d interfaces",
				 MAX_ATTACHMENTS);
	rc = attachment_make(dp, new, err);
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
	attachment_choose(&new);
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

	attachment_unlist(dp, attachment);
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

/* What is not attached again is tried when links change. */
static void retake_one(struct dataplane *dp, const struct interface_spec *iface)
{
	struct error err = {0};

	if (dataplane_attach(dp, iface, &err) == 0)
		return;
	log_error("not attached again: %s", err.message);
	if (!find(dp, iface->name) && dp->n_attachments < MAX_ATTACHMENTS)
		dp->attachments[dp->n_attachments++] =
			(struct attachment){.spec = *iface, .fd = -1, .asked = true};
}

void attachments_retake(struct dataplane *dp)
{
	struct interface_spec ours[MAX_ATTACHMENTS];
	uint32_t n_ours = 0;

	for (uint32_t i = 0; i < dp->n_attachments; i++) {
		if (dp->attachments[i].asked)
			ours[n_ours++] = dp->attachments[i].spec;
	}
	attachments_fini(dp);
	if (attachments_load(dp) != 0)
		log_error("cannot read the links below '%s'", dp->path);
	for (uint32_t i = 0; i < n_ours; i++)
		retake_one(dp, &ours[i]);
	dataplane_detach_others(dp);
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

static void describe(const struct attachment *attachment, struct dataplane_interface *ret_interface)
{
	*ret_interface = (struct dataplane_interface){
		.ifindex = attachment->ifindex,
		.hook = attachment->hook,
		.configured_auto = attachment->spec.hook == HOOK_AUTO,
	};
	memcpy(ret_interface->name, attachment->spec.name, sizeof(ret_interface->name));
	memcpy(ret_interface->why, attachment->why, sizeof(ret_interface->why));
}

int dataplane_attach_rehearse(struct dataplane *dp, const struct interface_spec *iface,
			      struct dataplane_interface *ret_interface, struct error *err)
{
	struct attachment new = {.spec = *iface, .fd = -1};
	const struct attachment *old = find(dp, iface->name);
	int rc = 0;

	new.ifindex = if_nametoindex(iface->name);
	if (new.ifindex == 0)
		return unknown_interface(iface->name, err);
	attachment_choose(&new);
	if (new.hook != HOOK_TC && !(old && old->kind == LINK_XDP && link_alive(old)))
		rc = link_refuse_foreign(&new, err);
	if (rc == 0)
		describe(&new, ret_interface);
	return rc;
}

uint32_t dataplane_interfaces(struct dataplane *dp, struct dataplane_interface *out, uint32_t size)
{
	for (uint32_t i = 0; i < dp->n_attachments && i < size; i++)
		describe(&dp->attachments[i], &out[i]);
	return dp->n_attachments;
}
