/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "daemon/overlay.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/apply.h"

#define STATE_FILE_MODE 0640

json_t *overlay_load(const char *state_path)
{
	char aside[PATH_MAX];
	json_error_t why;
	json_t *overlay;

	if (access(state_path, F_OK) < 0)
		return json_object();
	overlay = json_load_file(state_path, JSON_REJECT_DUPLICATES, &why);
	if (json_is_object(overlay))
		return overlay;
	json_decref(overlay);
	(void)snprintf(aside, sizeof(aside), "%s.broken", state_path);
	(void)rename(state_path, aside);
	log_error("state file '%s' is not a JSON object: set aside as '%s'; run-time changes are "
		  "lost",
		  state_path, aside);
	return json_object();
}

struct config *overlay_build(const struct doc *file, const json_t *overlay, struct error *err)
{
	struct config *config = NULL;
	struct doc *doc = doc_copy(file);
	struct doc *over;
	struct report report;

	report_init(&report, "configuration");
	over = doc_from_json(overlay, &report);
	if (doc && over && doc_merge(doc, over) == 0)
		config = config_build(doc, &report);
	if (!config)
		(void)error_set(err, -EINVAL, report.field, "%s",
				report.errors ? report.message : "out of memory");
	doc_free(over);
	doc_free(doc);
	report_fini(&report);
	return config;
}

/* RFC 7396, but nulls stay in the patch: they must remove from the file's document later. */
static int merge(json_t *target, const json_t *patch)
{
	const char *key;
	json_t *value;

	json_object_foreach ((json_t *)patch, key, value) {
		json_t *old = json_object_get(target, key);
		int r;

		if (json_is_object(value) && json_is_object(old))
			r = merge(old, value);
		else
			r = json_object_set_new(target, key, json_deep_copy(value));
		if (r < 0)
			return -ENOMEM;
	}
	return 0;
}

/* {"pools": {"web": <patch>}} for at = {"pools", "web", NULL}. */
static json_t *wrap(const char *const *at, const json_t *patch)
{
	json_t *inner;

	if (!*at)
		return json_deep_copy(patch);
	inner = wrap(at + 1, patch);
	return inner ? json_pack("{s:o}", *at, inner) : NULL;
}

static int make_parent(const char *path)
{
	char parent[PATH_MAX];

	(void)snprintf(parent, sizeof(parent), "%s", path);
	for (char *slash = strchr(parent + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(parent, 0755) < 0 && errno != EEXIST)
			return -errno;
		*slash = '/';
	}
	return 0;
}

static int write_synced(FILE *file, const json_t *overlay)
{
	if (!file)
		return -errno;
	if (json_dumpf(overlay, file, JSON_INDENT(2) | JSON_SORT_KEYS) < 0 || fflush(file) != 0 ||
	    fchmod(fileno(file), STATE_FILE_MODE) < 0 || fsync(fileno(file)) < 0) {
		int r = errno ? -errno : -EIO;

		(void)fclose(file);
		return r;
	}
	return fclose(file) == 0 ? 0 : -errno;
}

int overlay_save(const struct load_balancer *lb, const json_t *overlay, struct error *err)
{
	const char *path = lb->config->state_path;
	char fresh[PATH_MAX];
	int r = make_parent(path);

	(void)snprintf(fresh, sizeof(fresh), "%s.new", path);
	if (r == 0)
		r = write_synced(fopen(fresh, "we"), overlay);
	if (r == 0 && rename(fresh, path) < 0)
		r = -errno;
	if (r < 0)
		return error_set(err, r, "state-path", "cannot write '%s': %s", path, strerror(-r));
	return 0;
}

/* The overlay with <patch> at <at>, and what it makes with the file. */
static int change_copy(struct load_balancer *lb, const char *const *at, const json_t *patch,
		       json_t *overlay, struct config **ret_config, struct error *err)
{
	json_t *wrapped = wrap(at, patch);
	bool merged = overlay && wrapped && merge(overlay, wrapped) == 0;

	json_decref(wrapped);
	if (!merged)
		return error_set(err, -ENOMEM, "", "out of memory");
	*ret_config = overlay_build(lb->file, overlay, err);
	return *ret_config ? 0 : err->code;
}

int overlay_rehearse(struct load_balancer *lb, const char *const *at, const json_t *patch,
		     struct config **ret_config, struct error *err)
{
	json_t *overlay = json_deep_copy(lb->overlay);
	int r = change_copy(lb, at, patch, overlay, ret_config, err);

	json_decref(overlay);
	return r;
}

int overlay_change(struct load_balancer *lb, const char *const *at, const json_t *patch,
		   struct error *err)
{
	json_t *overlay = json_deep_copy(lb->overlay);
	struct config *config = NULL;
	int r = change_copy(lb, at, patch, overlay, &config, err);

	if (r == 0)
		r = overlay_save(lb, overlay, err);
	if (r < 0)
		goto out;
	r = apply_config(lb, config, err);
	if (r < 0) {
		(void)overlay_save(lb, lb->overlay, NULL);
		goto out;
	}
	config = NULL;
	json_decref(lb->overlay);
	lb->overlay = json_incref(overlay);
out:
	config_free(config);
	json_decref(overlay);
	return r;
}
