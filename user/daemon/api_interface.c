/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <string.h>

#include "daemon/api.h"
#include "daemon/overlay.h"

#define MAX_INTERFACES 64

static json_t *interface_json(const struct dataplane_interface *interface)
{
	return json_pack("{s:s,s:s,s:s}", "name", interface->name, "hook",
			 strtable_name(&hook_names, (int)interface->hook), "why", interface->why);
}

json_t *api_interfaces_json(struct load_balancer *lb)
{
	struct dataplane_interface interfaces[MAX_INTERFACES];
	json_t *list = json_array();
	uint32_t n = 0;

	if (lb->dataplane)
		n = dataplane_interfaces(lb->dataplane, interfaces, MAX_INTERFACES);
	for (uint32_t i = 0; i < n; i++)
		(void)json_array_append_new(list, interface_json(&interfaces[i]));
	return list;
}

/* ---- What attach would take ---------------------------------------------------------------- */

static const struct interface_spec *find(const struct config *config, const char *name)
{
	for (uint32_t i = 0; i < config->n_interfaces; i++) {
		if (strcmp(config->interfaces[i].name, name) == 0)
			return &config->interfaces[i];
	}
	return NULL;
}

/* Answers the row that there would be, in place of all there are. */
static void rehearse(struct load_balancer *lb, const char *const *at, const json_t *body,
		     struct control_reply *reply)
{
	const struct interface_spec *spec;
	struct dataplane_interface taken = {0};
	struct config *config = NULL;
	struct error err = {0};
	int r = overlay_rehearse(lb, at, body, &config, &err);

	spec = r == 0 ? find(config, at[1]) : NULL;
	if (spec && !lb->dataplane)
		r = error_set(&err, -ENOTSUP, "",
			      "this lbd was started without a kernel path: restart it to have one");
	else if (spec)
		r = dataplane_attach_rehearse(lb->dataplane, spec, &taken, &err);
	if (r < 0)
		api_refused(&err, r, reply);
	else if (spec)
		reply->body = json_pack("{s:[o]}", "interfaces", interface_json(&taken));
	config_free(config);
}

/* ---- Verbs --------------------------------------------------------------------------------- */

void api_interfaces(void *ctx, const struct control_request *request, struct control_reply *reply)
{
	(void)request;
	reply->body = json_pack("{s:o}", "interfaces", api_interfaces_json(ctx));
}

void api_interface_put(void *ctx, const struct control_request *request,
		       struct control_reply *reply)
{
	const char *const at[] = {"interfaces", request->args[0], NULL};
	json_t *body = request->body ? json_deep_copy(request->body) : json_object();
	bool dry = api_is_dry(request);

	if (dry)
		rehearse(ctx, at, body, reply);
	else
		api_change(ctx, at, body, reply);
	json_decref(body);
	if (!dry && reply->status < 300)
		reply->body = json_pack("{s:o}", "interfaces", api_interfaces_json(ctx));
}

void api_interface_delete(void *ctx, const struct control_request *request,
			  struct control_reply *reply)
{
	const char *const at[] = {"interfaces", request->args[0], NULL};
	struct load_balancer *lb = ctx;

	for (uint32_t i = 0; i < lb->config->n_interfaces; i++) {
		if (strcmp(lb->config->interfaces[i].name, request->args[0]) != 0)
			continue;
		if (api_is_dry(request))
			api_rehearse(lb, at, json_null(), reply);
		else
			api_change(lb, at, json_null(), reply);
		return;
	}
	api_not_found(reply, "attached interface", request->args[0]);
}
