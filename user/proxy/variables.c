/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "proxy/variables.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "proxy/path.h"
#include "proxy/route.h"

static struct slice port_text(struct variables *variables)
{
	int n = snprintf(variables->port, sizeof(variables->port), "%u",
			 ntohs(variables->client.port));

	return (struct slice){variables->port, n > 0 ? (size_t)n : 0};
}

struct slice variables_value(void *ctx, int field)
{
	struct variables *variables = ctx;
	const struct http_head *head = variables->head;

	switch ((enum variable)field) {
	case VARIABLE_CLIENT_IP:
		return slice_of(addr_format_ip(&variables->client, variables->ip));
	case VARIABLE_CLIENT_PORT:
		return port_text(variables);
	case VARIABLE_HOST:
		return route_host(head->authority);
	case VARIABLE_METHOD:
		return head->method_text;
	case VARIABLE_PATH:
		return path_of(head->target);
	case VARIABLE_TARGET:
		return head->target;
	case VARIABLE_PROTO:
		return slice_of(variables->proto);
	case VARIABLE_SERVICE:
		return slice_of(variables->service);
	case VARIABLE_POOL:
		return slice_of(variables->pool);
	case VARIABLE_REQUEST_ID:
		return variables->request_id;
	case VARIABLE_TRACEPARENT:
		return variables->traceparent;
	case VARIABLE_BACKEND:
		break;
	}
	return SLICE("");
}
