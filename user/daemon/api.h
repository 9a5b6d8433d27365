/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the control API means: one file per noun, one table of routes.
 *
 * For: the control server. Owns: nothing. May know: every room. <ctx> is the load balancer.
 */
#ifndef DAEMON_API_H
#define DAEMON_API_H

#include "control/control.h"
#include "daemon/entry.h"

extern const struct control_route api_routes[];

/* api_status.c */
control_fn api_status;
control_fn api_interfaces;
control_fn api_interface_put;
control_fn api_interface_delete;
/* api_service.c */
control_fn api_services;
control_fn api_service_get;
control_fn api_service_put;
control_fn api_service_patch;
control_fn api_service_delete;
/* api_pool.c */
control_fn api_pools;
control_fn api_pool_get;
control_fn api_pool_put;
control_fn api_pool_patch;
control_fn api_pool_delete;
/* api_backend.c */
control_fn api_backends;
control_fn api_backend_get;
control_fn api_backend_put;
control_fn api_backend_patch;
control_fn api_backend_delete;
control_fn api_backend_why;
/* api_flow.c */
control_fn api_flows;
control_fn api_flow_count;
control_fn api_flow_kill;
control_fn api_backend_kill;
/* api_error.c */
control_fn api_errors;
/* api_session.c */
control_fn api_sessions;
control_fn api_session_count;
control_fn api_session_kill;
/* api_stats.c */
control_fn api_stats;
/* api_audit.c */
control_fn api_audit;
/* api_verdict.c */
control_fn api_verdicts;
control_fn api_verdict_get;
/* api_doctor.c */
control_fn api_doctor;
/* api_events.c */
control_fn api_events;
/* api_trace.c */
control_fn api_trace;
/* api_trace_http.c: <body> is of protocol http */
void api_trace_http(struct load_balancer *lb, const json_t *body, struct control_reply *reply);
/* api_config.c */
control_fn api_config;
control_fn api_config_check;
control_fn api_config_reload;
/* api_upgrade.c */
control_fn api_upgrade;
control_fn api_upgrade_get;

/* ---- Shared by the nouns -------------------------------------------------------------------- */

json_t *api_pool_json(struct pool_entry *entry);
json_t *api_services_json(struct load_balancer *lb);
json_t *api_service_json(struct load_balancer *lb, const struct service_spec *service);
json_t *api_sticky_json(const struct sticky_spec *sticky);
json_t *api_routes_json(const struct service_spec *service);
json_t *api_backend_json(struct pool_entry *entry, struct backend *backend);
/* Ends the proxy's connections at a backend, or only counts them: answers with "count". */
void api_sessions_kill_backend(struct load_balancer *lb, uint16_t backend, bool dry,
			       struct control_reply *reply);
/* What a process that has replaced this one asks: {number, act, params}; NULL: no memory. */
json_t *api_session_answer(struct load_balancer *lb, const json_t *question);
json_t *api_interfaces_json(struct load_balancer *lb);
const char *api_flow_state(uint32_t state); /* "syn-ack" */
/* Merges into the overlay and answers {} or the error. */
void api_change(struct load_balancer *lb, const char *const *at, const json_t *patch,
		struct control_reply *reply);
/* Answers that a change was refused, with its reason. */
void api_refused(const struct error *err, int r, struct control_reply *reply);
bool api_is_dry(const struct control_request *request);
/* In place of api_change for a dry run: answers what would move, or the error. */
void api_rehearse(struct load_balancer *lb, const char *const *at, const json_t *patch,
		  struct control_reply *reply);
/* True when the request has an object as its body; else the reply says so. */
bool api_needs_object(const struct control_request *request, struct control_reply *reply);
void api_not_found(struct control_reply *reply, const char *kind, const char *name);

#endif
