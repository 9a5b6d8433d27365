/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "proxy/spec.h"

#include <stdlib.h>

#include "http/header.h"
#include "http/token.h"

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

static const char *const same_sites[] = {
	[SAME_SITE_LAX] = "lax",
	[SAME_SITE_STRICT] = "strict",
	[SAME_SITE_NONE] = "none",
};

const struct strtable same_site_names = STRTABLE(same_sites);

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

/* What frames the message or belongs to one connection is lbd's own to write. */
static bool is_ours(enum http_header_id id)
{
	switch (id) {
	case HTTP_H_CONNECTION:
	case HTTP_H_KEEP_ALIVE:
	case HTTP_H_PROXY_CONNECTION:
	case HTTP_H_PROXY_AUTHENTICATE:
	case HTTP_H_PROXY_AUTHORIZATION:
	case HTTP_H_TE:
	case HTTP_H_TRAILER:
	case HTTP_H_TRANSFER_ENCODING:
	case HTTP_H_CONTENT_LENGTH:
	case HTTP_H_UPGRADE:
	case HTTP_H_EXPECT:
		return true;
	default:
		return false;
	}
}

const char *header_name_fault(enum header_op op, struct slice name, bool response)
{
	enum http_header_id id;
	bool hop;

	if (!token_valid(name))
		return "not a header name: use letters, digits and '-'";
	id = http_header_identify(name, &hop);
	if (is_ours(id))
		return "frames the message or belongs to one connection: lbd writes it";
	if (id == HTTP_H_HOST && response)
		return "is a header of requests";
	if (id == HTTP_H_HOST && op != HEADER_SET)
		return "must be there once: it can be set only";
	return NULL;
}

static void headers_fini(struct headers_spec *headers)
{
	for (uint32_t i = 0; i < headers->n; i++) {
		free(headers->headers[i].name);
		free(headers->headers[i].value);
	}
	free(headers->headers);
}

void service_spec_fini(struct service_spec *service)
{
	for (uint32_t i = 0; i < service->n_routes; i++) {
		free(service->routes[i].shares);
		headers_fini(&service->routes[i].request_headers);
		headers_fini(&service->routes[i].response_headers);
	}
	free(service->routes);
	free(service->listen);
	free(service->snat);
	free(service->allow);
	free(service->deny);
	free(service->trusted);
	free(service->access_log.format);
	free(service->access_log.file);
}
