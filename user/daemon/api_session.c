/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Connections of clients to the proxy path: looked at, counted, ended. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/parse.h"
#include "daemon/api.h"
#include "daemon/flow_filter.h"
#include "daemon/generation.h"
#include "daemon/session_merge.h"
#include "proxy/session.h"
#include "proxy/worker.h"

/* A page: a worker does nothing else while it looks through its sessions. */
#define SESSIONS_DEFAULT 1000
#define SESSIONS_MAX	 4000

/* ... and that a process which has replaced this one gets: it must fit one message. */
#define SESSIONS_ASKED 100

enum act { ACT_LIST, ACT_COUNT, ACT_KILL };

static const char *const act_texts[] = {
	[ACT_LIST] = "list",
	[ACT_COUNT] = "count",
	[ACT_KILL] = "kill",
};
static const struct strtable act_names = STRTABLE(act_texts);

struct row {
	uint64_t id;
	uint64_t age_ms, idle_ms, bytes_in, bytes_out;
	const char *protocol, *state; /* constants */
	uint32_t service, pool, requests;
	struct addr client;
	char backend[POOL_NAME_LEN];
	char request[80];
};

struct look {
	struct load_balancer *lb;
	struct flow_filter filter; /* backends by their ids alone */
	enum act act;
	bool dry;
	uint64_t id; /* 0: any */
	uint64_t limit;
	uint64_t first; /* id to begin with */
	uint64_t count;
	struct row *rows;
	size_t n_rows, n_room;
	size_t n_before; /* rows of other workers */
	bool no_memory;
};

/* ---- On the threads of the workers, while the control thread waits -------------------------- */

static bool backend_fits(const struct flow_filter *filter, uint16_t id)
{
	return !filter->has_backend || (id > 0 && filter->ids[id / 8] & (1U << id % 8));
}

static bool takes(const struct look *look, const struct session *session,
		  const struct session_info *info)
{
	const struct flow_filter *filter = &look->filter;

	if (look->id && session->id != look->id)
		return false;
	if (filter->has_service && session->service_id != filter->service)
		return false;
	if (!backend_fits(filter, info->backend_id))
		return false;
	if (!filter->has_client)
		return true;
	return prefix_has(&filter->client, session->peer.ip) &&
	       (filter->client_port == 0 || filter->client_port == session->peer.port);
}

static bool grow(struct look *look)
{
	size_t room = look->n_room ? look->n_room * 2 : 64;
	struct row *rows = realloc(look->rows, room * sizeof(*rows));

	look->no_memory = !rows;
	if (!rows)
		return false;
	look->rows = rows;
	look->n_room = room;
	return true;
}

/* One more than a page of each worker, in the order of ids. */
static void add_row(struct look *look, const struct session *session,
		    const struct session_info *info)
{
	uint64_t now = loop_now_ms(session->worker->loop);
	struct row *row;

	if (session->id < look->first || look->n_rows - look->n_before > look->limit)
		return;
	if (look->n_rows == look->n_room && !grow(look))
		return;
	row = &look->rows[look->n_rows++];
	*row = (struct row){
		.id = session->id,
		.age_ms = now - session->opened_ms,
		.idle_ms = now - session->active_ms,
		.bytes_in = info->bytes_in,
		.bytes_out = info->bytes_out,
		.protocol = info->protocol,
		.state = info->state,
		.service = session->service_id,
		.pool = info->pool,
		.requests = info->requests,
		.client = session->peer,
	};
	(void)snprintf(row->backend, sizeof(row->backend), "%s", info->backend);
	(void)snprintf(row->request, sizeof(row->request), "%s", info->request);
}

static void visit(struct worker *worker, void *ctx)
{
	struct look *look = ctx;

	look->n_before = look->n_rows;
	list_for_each_safe (node, &worker->sessions) {
		struct session *session = container_of(node, struct session, node);
		struct session_info info;

		session->ops->describe(session, &info);
		if (!takes(look, session, &info))
			continue;
		look->count++;
		if (look->act == ACT_LIST)
			add_row(look, session, &info);
		if (look->act == ACT_KILL && !look->dry)
			session->ops->abort(session);
	}
}

/* ---- JSON ----------------------------------------------------------------------------------- */

static json_t *row_json(const struct look *look, const struct row *row)
{
	char client[ADDR_TEXT_LEN];
	const char *pool = row->pool ? ids_name(&look->lb->pool_ids, row->pool) : "";

	return json_pack("{s:I,s:i,s:s,s:s,s:s,s:s,s:s,s:s,s:I,s:I,s:I,s:I,s:I,s:s}", "id",
			 (json_int_t)row->id, "pid", (int)getpid(), "service",
			 ids_name(&look->lb->service_ids, row->service), "client",
			 addr_format(&row->client, client), "backend", row->backend, "pool", pool,
			 "protocol", row->protocol, "state", row->state, "age_ms",
			 (json_int_t)row->age_ms, "idle_ms", (json_int_t)row->idle_ms, "requests",
			 (json_int_t)row->requests, "bytes_in", (json_int_t)row->bytes_in,
			 "bytes_out", (json_int_t)row->bytes_out, "request", row->request);
}

static int by_id(const void *a, const void *b)
{
	const struct row *x = a;
	const struct row *y = b;

	return (x->id > y->id) - (x->id < y->id);
}

static void answer(struct look *look, struct control_reply *reply)
{
	json_t *list = json_array();

	if (look->n_rows > 0)
		qsort(look->rows, look->n_rows, sizeof(*look->rows), by_id);
	for (size_t i = 0; i < look->n_rows && i < look->limit; i++)
		(void)json_array_append_new(list, row_json(look, &look->rows[i]));
	if (look->n_rows > look->limit)
		reply->body = json_pack("{s:o,s:I}", "sessions", list, "next",
					(json_int_t)look->rows[look->limit].id);
	else
		reply->body = json_pack("{s:o}", "sessions", list);
}

/* ---- The question --------------------------------------------------------------------------- */

static bool at_address(const struct backend *backend, const struct addr *addr)
{
	return memcmp(backend->spec.addr.ip, addr->ip, sizeof(addr->ip)) == 0 &&
	       (addr->port == 0 || addr->port == backend->spec.addr.port);
}

/* By name, in any pool, also of one that was removed; or by address. */
static bool read_backend(struct look *look, const char *text, struct control_reply *reply)
{
	struct addr addr;
	bool by_addr = !addr_parse(slice_of(text), false, &addr);

	list_for_each (node, &look->lb->pools) {
		list_for_each (member, pool_all(entry_of(node)->pool)) {
			const struct backend *backend = backend_of(member);

			if (strcmp(backend->spec.name, text) == 0 ||
			    (by_addr && at_address(backend, &addr)))
				flow_filter_add_id(&look->filter, backend->id);
		}
	}
	list_for_each (node, &look->lb->tombstones) {
		const struct tombstone *tombstone = container_of(node, struct tombstone, node);

		if (strcmp(tombstone->name, text) == 0)
			flow_filter_add_id(&look->filter, tombstone->id);
	}
	if (!look->filter.has_backend)
		api_not_found(reply, "backend", text);
	return look->filter.has_backend;
}

static bool read_service(struct look *look, const char *name, struct control_reply *reply)
{
	uint32_t id = ids_find(&look->lb->service_ids, name);

	if (id == 0) {
		api_not_found(reply, "service", name);
		return false;
	}
	look->filter.has_service = true;
	look->filter.service = (uint16_t)id;
	return true;
}

static bool read_number(const struct control_request *request, const char *name, uint64_t max,
			struct control_reply *reply, uint64_t *number)
{
	const char *text = control_param(request, name);

	if (!text || (parse_u64(slice_of(text), number) && *number > 0 && *number <= max))
		return true;
	control_fail(reply, 400, "invalid", name, "'%s': a number from 1 to %llu", text,
		     (unsigned long long)max);
	return false;
}

static bool read_client(struct look *look, const char *text, struct control_reply *reply)
{
	const char *why = flow_filter_client(&look->filter, text);

	if (why)
		control_fail(reply, 400, "invalid", "client", "'%s': %s", text, why);
	return !why;
}

static bool read_question(struct look *look, const struct control_request *request,
			  struct control_reply *reply)
{
	const char *service = control_param(request, "service");
	const char *backend = control_param(request, "backend");
	const char *client = control_param(request, "client");
	uint64_t id = 0;

	if (!read_number(request, "backend_id", LB_MAX_BACKENDS - 1, reply, &id) ||
	    !read_number(request, "id", INT64_MAX, reply, &look->id) ||
	    !read_number(request, "limit", SESSIONS_MAX, reply, &look->limit) ||
	    !read_number(request, "from", INT64_MAX, reply, &look->first))
		return false;
	if (id > 0)
		flow_filter_add_id(&look->filter, (uint16_t)id);
	if (look->act == ACT_KILL && !service && !backend && !client && !look->id && id == 0 &&
	    !control_param(request, "all")) {
		control_fail(reply, 400, "invalid", "all",
			     "say which: id, service, backend or client; or all");
		return false;
	}
	return (!client || read_client(look, client, reply)) &&
	       (!service || read_service(look, service, reply)) &&
	       (!backend || read_backend(look, backend, reply));
}

static void look_around(struct look *look, struct control_reply *reply)
{
	if (look->lb->proxy)
		proxy_visit(look->lb->proxy, visit, look);
	if (look->no_memory)
		control_fail(reply, 500, "out_of_memory", NULL, "out of memory");
	else if (look->act == ACT_LIST)
		answer(look, reply);
	else
		reply->body = json_pack("{s:I}", "count", (json_int_t)look->count);
}

/* What processes before this one have. */
static void add_generations(struct look *look, const struct control_request *request, json_t *body)
{
	json_t *params = json_object();
	json_t *answers;

	if (list_empty(&look->lb->generations)) {
		json_decref(params);
		return;
	}
	for (unsigned i = 0; i < request->n_params; i++)
		(void)json_object_set_new(params, request->params[i].name,
					  json_string(request->params[i].value));
	answers = generations_ask(look->lb, act_texts[look->act], params);
	if (look->act != ACT_LIST)
		session_add(body, answers);
	else if (session_merge(body, answers, look->limit) < 0)
		log_error("cannot list the sessions of other processes: out of memory");
	generations_note(look->lb, body);
	json_decref(answers);
	json_decref(params);
}

static struct look *look_new(struct load_balancer *lb, enum act act, struct control_reply *reply)
{
	struct look *look = calloc(1, sizeof(*look));

	if (!look) {
		control_fail(reply, 500, "out_of_memory", NULL, "out of memory");
		return NULL;
	}
	look->lb = lb;
	look->act = act;
	look->limit = SESSIONS_DEFAULT;
	return look;
}

static void look_free(struct look *look)
{
	free(look->rows);
	free(look);
}

static void run(struct load_balancer *lb, const struct control_request *request,
		struct control_reply *reply, enum act act)
{
	struct look *look = look_new(lb, act, reply);

	if (!look)
		return;
	look->dry = api_is_dry(request);
	if (read_question(look, request, reply))
		look_around(look, reply);
	if (reply->body && reply->status < 300)
		add_generations(look, request, reply->body);
	look_free(look);
}

void api_sessions_kill_backend(struct load_balancer *lb, uint16_t backend, bool dry,
			       struct control_reply *reply)
{
	char id[16];
	struct control_request request = {
		.n_params = 2,
		.params = {{"backend_id", id}, {"dry_run", dry ? "1" : "0"}},
	};

	(void)snprintf(id, sizeof(id), "%u", backend);
	run(lb, &request, reply, ACT_KILL);
}

/* ---- Asked by the process that has replaced this one ----------------------------------------- */

static void read_params(const json_t *params, struct control_request *request)
{
	const char *name;
	json_t *value;

	json_object_foreach ((json_t *)params, name, value)
		if (json_is_string(value) && request->n_params < CONTROL_MAX_PARAMS)
			request->params[request->n_params++] =
				(struct control_param){name, json_string_value(value)};
}

static void run_asked(struct load_balancer *lb, const json_t *question, enum act act,
		      struct control_reply *reply)
{
	struct control_request request = {0};
	struct look *look = look_new(lb, act, reply);

	if (!look)
		return;
	read_params(json_object_get(question, "params"), &request);
	look->dry = api_is_dry(&request);
	if (read_question(look, &request, reply)) {
		if (look->limit > SESSIONS_ASKED)
			look->limit = SESSIONS_ASKED;
		look_around(look, reply);
	}
	look_free(look);
}

json_t *api_session_answer(struct load_balancer *lb, const json_t *question)
{
	const char *word = json_string_value(json_object_get(question, "act"));
	int act = word ? strtable_value(&act_names, slice_of(word)) : -1;
	struct control_reply reply = {.status = 200};

	if (act >= 0)
		run_asked(lb, question, (enum act)act, &reply);
	return json_pack("{s:s,s:O,s:o}", "type", "answer", "number",
			 json_object_get(question, "number"), "body",
			 reply.body ? reply.body : json_object());
}

void api_sessions(void *ctx, const struct control_request *request, struct control_reply *reply)
{
	run(ctx, request, reply, ACT_LIST);
}

void api_session_count(void *ctx, const struct control_request *request,
		       struct control_reply *reply)
{
	run(ctx, request, reply, ACT_COUNT);
}

void api_session_kill(void *ctx, const struct control_request *request, struct control_reply *reply)
{
	run(ctx, request, reply, ACT_KILL);
}
