/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/api.h"
#include "daemon/overlay.h"

void api_config(void *ctx, const struct control_request *request, struct control_reply *reply)
{
	struct load_balancer *lb = ctx;

	(void)request;
	reply->body = json_pack("{s:s,s:o,s:O}", "path", lb->config_path, "file",
				doc_to_json(lb->file), "overlay", lb->overlay);
}

/* Each line of the report is one mistake. */
static json_t *lines_json(const char *text)
{
	json_t *list = json_array();

	while (text && *text) {
		size_t len = strcspn(text, "\n");

		(void)json_array_append_new(list, json_stringn(text, len));
		text += len + (text[len] == '\n');
	}
	return list;
}

void api_config_check(void *ctx, const struct control_request *request, struct control_reply *reply)
{
	const char *path = json_string_value(json_object_get(request->body, "path"));
	struct config *config = NULL;
	struct report report;
	struct doc *doc;

	(void)ctx;
	if (!path || path[0] != '/') {
		control_fail(reply, 400, "invalid", "path",
			     "the absolute path of a file is needed");
		return;
	}
	report_init(&report, path);
	doc = doc_from_yaml_file(path, &report);
	if (doc)
		config = config_build(doc, &report);
	reply->body =
		json_pack("{s:b,s:o}", "ok", config != NULL, "errors", lines_json(report.text.ptr));
	config_free(config);
	doc_free(doc);
	report_fini(&report);
}

/* "pools.web.backends.b1.admin" for every value the overlay holds. */
static void name_leaves(const json_t *value, const char *path, json_t *list)
{
	const char *key;
	json_t *child;

	if (!json_is_object(value)) {
		(void)json_array_append_new(list, json_string(path));
		return;
	}
	json_object_foreach ((json_t *)value, key, child) {
		char longer[512];

		(void)snprintf(longer, sizeof(longer), "%s%s%s", path, *path ? "." : "", key);
		name_leaves(child, longer, list);
	}
}

void api_config_reload(void *ctx, const struct control_request *request,
		       struct control_reply *reply)
{
	struct load_balancer *lb = ctx;
	unsigned flags = 0;
	struct error err = {0};
	json_t *dropped = json_array();
	json_t *kept = json_array();
	int r;

	if (json_is_true(json_object_get(request->body, "discard_runtime")))
		flags |= RELOAD_DISCARD_RUNTIME;
	if (json_is_true(json_object_get(request->body, "dry_run")))
		flags |= RELOAD_DRY_RUN;
	r = load_balancer_reload(lb, flags, dropped, &err);
	if (r < 0) {
		json_decref(kept);
		json_decref(dropped);
		control_fail(reply, r == -EINVAL ? 400 : 409, "not_reloaded", err.field, "%s",
			     err.message);
		return;
	}
	if (json_object_size(lb->overlay) > 0)
		name_leaves(lb->overlay, "", kept);
	reply->body = json_pack("{s:o,s:o}", "kept", kept, "dropped", dropped);
}
