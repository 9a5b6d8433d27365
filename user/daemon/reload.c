/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "daemon/reload.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "daemon/apply.h"
#include "daemon/overlay.h"
#include "daemon/prune.h"
#include "daemon/supervise.h"

/* What a reload has read: the file, what it says alone, and the overlay that is left over it. */
struct reading {
	struct doc *file;
	struct config *alone;
	json_t *overlay;
};

static void reading_fini(struct reading *reading)
{
	doc_free(reading->file);
	config_free(reading->alone);
	json_decref(reading->overlay);
	*reading = (struct reading){0};
}

/* One mistake is told to whoever asked. More need not fit there: each gets a line of the log. */
static void refuse_file(const struct report *report, struct error *err)
{
	const char *line = report->text.len ? report->text.ptr : "";
	size_t len = strcspn(line, "\n");
	size_t first = len;

	if (report->errors <= 1) {
		(void)error_set(err, -EINVAL, report->field, "%.*s", (int)len, line);
		return;
	}
	for (const char *at = line; *at; at += len + 1, len = strcspn(at, "\n"))
		log_error("%.*s", (int)len, at);
	(void)error_set(err, -EINVAL, report->field,
			"%u mistakes, the log has them all ('lbd -t' too), the first: %.*s",
			report->errors, (int)first, line);
}

/* The file alone first: its mistakes are all reported with their places. */
static int read_file(const struct load_balancer *lb, struct reading *reading, struct error *err)
{
	struct report report;

	report_init(&report, lb->config_path);
	reading->file = doc_from_yaml_file(lb->config_path, &report);
	if (reading->file)
		reading->alone = config_build(reading->file, &report);
	if (!reading->alone)
		refuse_file(&report, err);
	report_fini(&report);
	return reading->alone ? 0 : -EINVAL;
}

/* The state file's place is in the file, so the overlay cannot move it. */
static json_t *load_overlay(const struct doc *file)
{
	static const char *const fallback = "/var/lib/lbd/state";
	const struct doc *path = doc_get(file, "state-path");

	return overlay_load(path && path->text ? path->text : fallback);
}

/* <reading>'s overlay without what the file has no longer, and what both make. */
static int put_over(struct reading *reading, const struct config *before, json_t *dropped,
		    struct config **ret_config, struct error *err)
{
	json_t *left = prune_overlay(reading->overlay, before, reading->alone, dropped);

	if (!left)
		return error_set(err, -ENOMEM, "", "out of memory");
	json_decref(reading->overlay);
	reading->overlay = left;
	*ret_config = overlay_build(reading->file, left, err);
	return *ret_config ? 0 : -EINVAL;
}

static void log_dropped(const json_t *dropped)
{
	for (size_t i = 0; i < json_array_size(dropped); i++)
		log_warning("run-time change of '%s' dropped: the file has it no longer",
			    json_string_value(json_array_get(dropped, i)));
}

/* Takes what was read over. */
static void keep(struct load_balancer *lb, struct reading *reading)
{
	doc_free(lb->file);
	json_decref(lb->overlay);
	lb->file = reading->file;
	lb->overlay = reading->overlay;
	reading->file = NULL;
	reading->overlay = NULL;
}

int reload_first(struct load_balancer *lb, struct config **ret_config, struct error *err)
{
	json_t *dropped = json_array();
	struct reading reading = {0};
	int r = read_file(lb, &reading, err);

	if (r == 0) {
		reading.overlay = load_overlay(reading.file);
		r = put_over(&reading, NULL, dropped, ret_config, err);
	}
	if (r == 0) {
		log_dropped(dropped);
		keep(lb, &reading);
	}
	reading_fini(&reading);
	json_decref(dropped);
	return r;
}

/* What the file said alone when it was read last; NULL: it cannot be told. */
static struct config *build_former(const struct load_balancer *lb)
{
	struct config *config;
	struct report report;

	report_init(&report, lb->config_path);
	config = config_build(lb->file, &report);
	report_fini(&report);
	return config;
}

static int apply(struct load_balancer *lb, struct reading *reading, struct config *config,
		 struct error *err)
{
	bool changed = !json_equal(lb->overlay, reading->overlay);
	int r = apply_config(lb, config, err);

	if (r < 0) {
		if (config != lb->config)
			config_free(config);
		return r;
	}
	keep(lb, reading);
	return changed ? overlay_save(lb, lb->overlay, err) : 0;
}

int load_balancer_reload(struct load_balancer *lb, unsigned flags, json_t *dropped,
			 struct error *err)
{
	bool discard = flags & RELOAD_DISCARD_RUNTIME;
	struct config *former = build_former(lb);
	json_t *gone = json_array();
	struct config *config = NULL;
	struct reading reading = {0};
	int r;

	supervise_reloading(lb);
	r = read_file(lb, &reading, err);
	reading.overlay = discard ? json_object() : json_incref(lb->overlay);
	if (r == 0)
		r = put_over(&reading, former, gone, &config, err);
	if (r == 0 && flags & RELOAD_DRY_RUN)
		config_free(config);
	else if (r == 0)
		r = apply(lb, &reading, config, err);
	if (r == 0 && !(flags & RELOAD_DRY_RUN))
		log_dropped(gone);
	if (r == 0 && dropped)
		(void)json_array_extend(dropped, gone);
	supervise_reloaded(lb);
	json_decref(gone);
	config_free(former);
	reading_fini(&reading);
	return r;
}
