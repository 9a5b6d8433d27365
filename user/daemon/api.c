/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "daemon/api.h"

#include <errno.h>

#include "daemon/overlay.h"

const struct control_route api_routes[] = {
	{HTTP_GET, "/v1/status", api_status},
	{HTTP_GET, "/v1/interfaces", api_interfaces},
	{HTTP_PUT, "/v1/interfaces/*", api_interface_put},
	{HTTP_DELETE, "/v1/interfaces/*", api_interface_delete},
	{HTTP_GET, "/v1/services", api_services},
	{HTTP_GET, "/v1/services/*", api_service_get},
	{HTTP_PUT, "/v1/services/*", api_service_put},
	{HTTP_PATCH, "/v1/services/*", api_service_patch},
	{HTTP_DELETE, "/v1/services/*", api_service_delete},
	{HTTP_GET, "/v1/pools", api_pools},
	{HTTP_GET, "/v1/pools/*", api_pool_get},
	{HTTP_PUT, "/v1/pools/*", api_pool_put},
	{HTTP_PATCH, "/v1/pools/*", api_pool_patch},
	{HTTP_DELETE, "/v1/pools/*", api_pool_delete},
	{HTTP_GET, "/v1/pools/*/backends", api_backends},
	{HTTP_GET, "/v1/pools/*/backends/*", api_backend_get},
	{HTTP_PUT, "/v1/pools/*/backends/*", api_backend_put},
	{HTTP_PATCH, "/v1/pools/*/backends/*", api_backend_patch},
	{HTTP_DELETE, "/v1/pools/*/backends/*", api_backend_delete},
	{HTTP_GET, "/v1/pools/*/backends/*/why", api_backend_why},
	{HTTP_POST, "/v1/pools/*/backends/*/kill", api_backend_kill},
	{HTTP_GET, "/v1/flows", api_flows},
	{HTTP_GET, "/v1/flows/count", api_flow_count},
	{HTTP_DELETE, "/v1/flows", api_flow_kill},
	{HTTP_GET, "/v1/errors", api_errors},
	{HTTP_GET, "/v1/sessions", api_sessions},
	{HTTP_GET, "/v1/sessions/count", api_session_count},
	{HTTP_DELETE, "/v1/sessions", api_session_kill},
	{HTTP_POST, "/v1/audit", api_audit},
	{HTTP_GET, "/v1/stats", api_stats},
	{HTTP_GET, "/v1/verdicts", api_verdicts},
	{HTTP_GET, "/v1/verdicts/*", api_verdict_get},
	{HTTP_GET, "/v1/events", api_events},
	{HTTP_GET, "/v1/doctor", api_doctor},
	{HTTP_POST, "/v1/trace", api_trace},
	{HTTP_GET, "/v1/config", api_config},
	{HTTP_POST, "/v1/config/check", api_config_check},
	{HTTP_POST, "/v1/config/reload", api_config_reload},
	{HTTP_GET, "/v1/upgrade", api_upgrade_get},
	{HTTP_POST, "/v1/upgrade", api_upgrade},
	{HTTP_OTHER, NULL, NULL},
};

void api_refused(const struct error *err, int r, struct control_reply *reply)
{
	if (r == -EINVAL)
		control_fail(reply, 400, "invalid", err->field, "%s", err->message);
	else if (r == -ENOMEM)
		control_fail(reply, 500, "out_of_memory", NULL, "%s", err->message);
	else
		control_fail(reply, 409, "refused", err->field, "%s", err->message);
}

void api_change(struct load_balancer *lb, const char *const *at, const json_t *patch,
		struct control_reply *reply)
{
	struct error err = {0};
	int r = overlay_change(lb, at, patch, &err);

	if (r < 0)
		api_refused(&err, r, reply);
}

bool api_needs_object(const struct control_request *request, struct control_reply *reply)
{
	if (json_is_object(request->body))
		return true;
	control_fail(reply, 400, "bad_body", NULL, "the body must be a JSON object");
	return false;
}

void api_not_found(struct control_reply *reply, const char *kind, const char *name)
{
	control_fail(reply, 404, "not_found", NULL, "there is no %s '%s'", kind, name);
}
