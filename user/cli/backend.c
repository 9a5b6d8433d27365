/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "cli/backend.h"

#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "base/parse.h"
#include "cli/request.h"

#define WAIT_DEFAULT_MS 60000
#define WAIT_STEP_MS	200

const struct column backend_columns[] = {
	{"POOL", "pool"},
	{"NAME", "name"},
	{"ADDRESS", "address"},
	{">WEIGHT", "weight"},
	{"ADMIN", "admin"},
	{"HEALTH", "health"},
	{"REASON", "health_reason"},
	{"ELIGIBLE", "eligible"},
	{">OPEN", "open"},
	{">OPENED", "opened"},
	{">FAILED", "failed"},
	{0},
};

/* Adds the backends of <pool> to <all>. */
static enum cli_exit collect(const struct call *call, const char *pool, json_t *all)
{
	struct buffer path = path_of_backend(pool, NULL);
	json_t *answer = NULL;
	enum cli_exit r = api_call(call, "GET", path.ptr, NULL, &answer);

	buffer_fini(&path);
	if (r != CLI_DONE)
		return r;
	(void)json_array_extend(all, json_object_get(answer, "backends"));
	json_decref(answer);
	return CLI_DONE;
}

static enum cli_exit list_all(const struct call *call)
{
	json_t *all = json_object();
	json_t *backends = json_array();
	json_t *answer = NULL;
	enum cli_exit r = api_call(call, "GET", "/v1/pools", NULL, &answer);
	const json_t *pools = json_object_get(answer, "pools");

	(void)json_object_set_new(all, "backends", backends);
	for (size_t i = 0; r == CLI_DONE && i < json_array_size(pools); i++) {
		const json_t *name = json_object_get(json_array_get(pools, i), "name");

		if (json_is_string(name))
			r = collect(call, json_string_value(name), backends);
	}
	if (r == CLI_DONE && call->json)
		print_json(all);
	else if (r == CLI_DONE)
		print_table(backends, backend_columns, "no backends");
	json_decref(answer);
	json_decref(all);
	return r;
}

static enum cli_exit list(const struct call *call)
{
	if (call->n_args == 0)
		return list_all(call);
	return request_list(call, path_of_backend(call->args[0], NULL), "backends",
			    backend_columns);
}

static enum cli_exit show(const struct call *call)
{
	return request_show(call, path_of_backend(call->args[0], call->args[1]), NULL);
}

static enum cli_exit add(const struct call *call)
{
	json_t *body = call_body(call);

	if (!call_value(call, "address")) /* a backend's name is its address if it has no other */
		(void)json_object_set_new(body, "address", json_string(call->args[1]));
	(void)json_object_set_new(body, "name", json_string(call->args[1]));
	return request_change(call, "PUT", path_of_backend(call->args[0], call->args[1]), body,
			      "backend '%s' added to pool '%s'", call->args[1], call->args[0]);
}

static enum cli_exit set(const struct call *call)
{
	if (!call_changes_something(call))
		return CLI_USAGE;
	return request_change(call, "PATCH", path_of_backend(call->args[0], call->args[1]),
			      call_body(call), "backend '%s' of pool '%s' changed", call->args[1],
			      call->args[0]);
}

static enum cli_exit remove_backend(const struct call *call)
{
	return request_change(call, "DELETE", path_of_backend(call->args[0], call->args[1]), NULL,
			      "backend '%s' removed from pool '%s'", call->args[1], call->args[0]);
}

/* ---- Administrative state, and waiting until it has had its effect --------------------------- */

/* Enabled: it takes connections. Else: none is open any more. */
static bool has_settled(const json_t *backend, const char *admin)
{
	if (admin[0] == 'e')
		return json_is_true(json_object_get(backend, "eligible"));
	return json_integer_value(json_object_get(backend, "open")) == 0;
}

static enum cli_exit give_up(const struct call *call, const json_t *backend, const char *admin)
{
	const char *reason = json_string_value(json_object_get(backend, "health_reason"));

	if (admin[0] == 'e')
		complain("backend '%s' is still not eligible: %s", call->args[1],
			 reason ? reason : "see 'lbadm backend why'");
	else
		complain("backend '%s' still has %" JSON_INTEGER_FORMAT " open connections",
			 call->args[1], json_integer_value(json_object_get(backend, "open")));
	return CLI_REFUSED;
}

static enum cli_exit wait_settled(const struct call *call, const char *admin)
{
	static const struct timespec step = {.tv_nsec = WAIT_STEP_MS * 1000000L};
	struct buffer path = path_of_backend(call->args[0], call->args[1]);
	const char *timeout = call_value(call, "timeout");
	uint32_t timeout_ms = WAIT_DEFAULT_MS;
	json_t *backend = NULL;
	bool settled = false;
	uint64_t end_ms;
	enum cli_exit r;

	if (timeout)
		(void)parse_duration_ms(slice_of(timeout), &timeout_ms);
	end_ms = clock_ms() + timeout_ms;
	for (;;) {
		r = api_call(call, "GET", path.ptr, NULL, &backend);
		if (r != CLI_DONE)
			break;
		settled = has_settled(backend, admin);
		if (settled || clock_ms() >= end_ms)
			break;
		json_decref(backend);
		backend = NULL;
		(void)nanosleep(&step, NULL);
	}
	if (r == CLI_DONE && !settled)
		r = give_up(call, backend, admin);
	json_decref(backend);
	buffer_fini(&path);
	return r;
}

static enum cli_exit set_admin(const struct call *call, const char *admin)
{
	enum cli_exit r;

	if (call_value(call, "timeout") && !call_value(call, "wait")) {
		complain("--timeout is for --wait");
		return CLI_USAGE;
	}
	r = request_change(call, "PATCH", path_of_backend(call->args[0], call->args[1]),
			   json_pack("{s:s}", "admin", admin), "backend '%s' of pool '%s' is %s",
			   call->args[1], call->args[0], admin);
	if (r == CLI_DONE && call_value(call, "wait") && !call_value(call, "dry-run"))
		r = wait_settled(call, admin);
	return r;
}

static enum cli_exit enable(const struct call *call)
{
	return set_admin(call, "enabled");
}

static enum cli_exit disable(const struct call *call)
{
	return set_admin(call, "disabled");
}

static enum cli_exit drain(const struct call *call)
{
	return set_admin(call, "draining");
}

static enum cli_exit kill_flows(const struct call *call)
{
	struct buffer path = path_of_backend(call->args[0], call->args[1]);

	path_segment(&path, "kill");
	return request_count(call, "POST", path, "connections ended:");
}

static void print_why(const json_t *answer)
{
	print_lines(json_object_get(answer, "lines"), "");
}

static enum cli_exit why(const struct call *call)
{
	struct buffer path = path_of_backend(call->args[0], call->args[1]);

	path_segment(&path, "why");
	return request_print(call, path, print_why);
}

static const struct option add_options[] = {
	{"address", "ADDR", OPTION_TEXT, "address", "10.0.1.11:8080; default: BACKEND"},
	{"weight", "N", OPTION_NUMBER, "weight", "0..256"},
	{"admin", "STATE", OPTION_TEXT, "admin", "enabled, draining or disabled"},
	DRY_RUN,
	{0},
};

static const struct option set_options[] = {
	{"weight", "N", OPTION_NUMBER, "weight", "0..256; 0: no new connections"},
	{"admin", "STATE", OPTION_TEXT, "admin", "enabled, draining or disabled"},
	DRY_RUN,
	{0},
};

static const struct option wait_options[] = {
	{"wait", NULL, OPTION_FLAG, NULL, "until nothing is open (enable: until it is eligible)"},
	{"timeout", "D", OPTION_DURATION, NULL, "how long to wait: 60s"},
	DRY_RUN,
	{0},
};

static const struct option remove_options[] = {DRY_RUN, {0}};

static const struct verb verbs[] = {
	{"list", "[POOL]", 0, 1, NULL, "all backends, or those of a pool", list},
	{"show", "POOL BACKEND", 2, 2, NULL, "one backend, all of it", show},
	{"add", "POOL BACKEND", 2, 2, add_options, "add a backend, or replace it", add},
	{"set", "POOL BACKEND", 2, 2, set_options, "change what is given, keep the rest", set},
	{"remove", "POOL BACKEND", 2, 2, remove_options, "remove a backend", remove_backend},
	{"enable", "POOL BACKEND", 2, 2, wait_options, "let it have new connections", enable},
	{"disable", "POOL BACKEND", 2, 2, wait_options, "no new connections, no checks", disable},
	{"drain", "POOL BACKEND", 2, 2, wait_options, "no new connections, open ones stay", drain},
	{"kill", "POOL BACKEND", 2, 2, remove_options,
	 "end its connections, in the kernel and in the proxy", kill_flows},
	{"why", "POOL BACKEND", 2, 2, NULL, "why it is eligible or not", why},
	{0},
};
const struct noun backend_noun = {"backend", "one server of a pool", verbs};
