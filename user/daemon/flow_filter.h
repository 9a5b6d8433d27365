/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which flows of the kernel path are meant: decided on raw records, a million of them a moment.
 *
 * For: the flow verbs. Owns: nothing. Pure. May know: base, include/lb.
 */
#ifndef DAEMON_FLOW_FILTER_H
#define DAEMON_FLOW_FILTER_H

#include "base/prefix.h"
#include "lb/abi.h"

struct flow_filter {
	bool has_service;
	uint16_t service; /* id */
	bool has_backend; /* by address or by one of the ids */
	bool has_address;
	struct addr address; /* port 0: any */
	uint8_t ids[LB_MAX_BACKENDS / 8];
	bool has_client;
	struct prefix client;
	in_port_t client_port; /* network order; 0: any */
};

void flow_filter_add_id(struct flow_filter *filter, uint16_t id);
/* "10.0.0.7", "10.0.0.7:4000", "10.0.0.0/8", "[fd00::7]:4000". NULL, or why not. */
const char *flow_filter_client(struct flow_filter *filter, const char *text);
/* <backend>: the address and port of the flow's. */
bool flow_filter_takes(const struct flow_filter *filter, const struct lb_flow *flow,
		       const struct addr *backend);

#endif
