/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "proxy/spec.h"

#include <stdlib.h>

static const char *const protocols[] = {
	[PROTOCOL_TCP] = "tcp",
	[PROTOCOL_UDP] = "udp",
	[PROTOCOL_HTTP] = "http",
};

static const char *const paths[] = {
	[PATH_KERNEL] = "kernel",
	[PATH_PROXY] = "proxy",
};

static const char *const forwards[] = {
	[FORWARD_NAT] = "nat",	 [FORWARD_SNAT] = "snat", [FORWARD_DSR] = "dsr",
	[FORWARD_IPIP] = "ipip", [FORWARD_GUE] = "gue",
};

static const char *const no_flows[] = {
	[NO_FLOW_RESET] = "reset",
	[NO_FLOW_DROP] = "drop",
	[NO_FLOW_PASS] = "pass",
};

static const char *const proxy_protocols[] = {
	[PROXY_PROTOCOL_NONE] = "none",
	[PROXY_PROTOCOL_V1] = "v1",
	[PROXY_PROTOCOL_V2] = "v2",
};

const struct strtable protocol_names = STRTABLE(protocols);
const struct strtable path_names = STRTABLE(paths);
const struct strtable forward_names = STRTABLE(forwards);
const struct strtable proxy_protocol_names = STRTABLE(proxy_protocols);
const struct strtable no_flow_names = STRTABLE(no_flows);

static const char *const variables[] = {
	[VARIABLE_CLIENT_IP] = "client_ip",
	[VARIABLE_CLIENT_PORT] = "client_port",
	[VARIABLE_HOST] = "host",
	[VARIABLE_METHOD] = "method",
	[VARIABLE_PATH] = "path",
	[VARIABLE_TARGET] = "target",
	[VARIABLE_PROTO] = "proto",
	[VARIABLE_SERVICE] = "service",
	[VARIABLE_POOL] = "pool",
	[VARIABLE_REQUEST_ID] = "request_id",
	[VARIABLE_TRACEPARENT] = "traceparent",
	[VARIABLE_BACKEND] = "backend",
};

const struct strtable variable_names = STRTABLE(variables);

void service_spec_fini(struct service_spec *service)
{
	for (uint32_t i = 0; i < service->n_routes; i++)
		free(service->routes[i].shares);
	free(service->routes);
	free(service->listen);
	free(service->snat);
	free(service->allow);
	free(service->deny);
}
