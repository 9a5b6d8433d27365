/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "proxy/client_request.h"

#include <errno.h>
#include <xxhash.h>

#include "net/socket.h"
#include "proxy/client_answer.h"
#include "proxy/error_reply.h"
#include "proxy/forward.h"
#include "proxy/greeting.h"
#include "proxy/record.h"
#include "proxy/redirect.h"
#include "proxy/route.h"
#include "proxy/sticky.h"
#include "proxy/variables.h"

static struct exchange *refused(struct client_refusal *ret_refusal, unsigned status,
				const char *why)
{
	*ret_refusal = (struct client_refusal){.status = status, .why = why};
	return NULL;
}

/* An upgrade with a body has two meanings of what follows it. */
bool client_upgrade_wanted(const struct http_head *head)
{
	return head->upgrade && head->framing == HTTP_BODY_NONE;
}

/* A request on its way to a route. */
struct asked {
	struct client *client;
	struct http_head *head;
	const struct snapshot *snapshot;
	const struct snapshot_service *service;
	struct route_rule *rule;
	struct forwarded forwarded;
	struct request_id names;
	struct variables variables;
	uint64_t sticky; /* the token that the client's cookie holds; 0: none */
};

/* What the route and the service change in the response, while the request is at hand. */
static int note_reply(struct exchange *x, struct asked *asked)
{
	const struct header_edits *edits = &asked->rule->response_edits;
	const struct sticky_spec *sticky = &asked->service->spec->sticky;
	int err = 0;

	if (edits->n == 0 && !sticky->cookie[0])
		return 0;
	x->reply = buffer_take(&x->worker->buffers);
	if (!x->reply)
		return -ENOMEM;
	if (edits->n > 0)
		err = reply_edit_note(edits, &asked->variables, x->reply);
	if (err == 0 && sticky->cookie[0])
		err = sticky_note(sticky, x->reply);
	return err;
}

static int put_head(struct exchange *x, struct asked *asked)
{
	struct forward_request forward = {
		.forwarded = &asked->forwarded,
		.names = &asked->names,
		.edits = &asked->rule->request_edits,
		.variables = &asked->variables,
		.local = asked->client->session.local,
		.upgrade = x->upgrade,
		.cookie_name = slice_of(asked->service->spec->sticky.cookie),
	};
	const struct session *session = &asked->client->session;
	const struct transport *transport = &asked->client->channel.transport;
	enum proxy_protocol send = asked->service->spec->proxy_protocol.send;
	struct http_head *head = asked->head;
	int err;

	/* Asked only where it is needed: it is a system call. */
	if (head->minor == 0 && head->authority.len == 0 && forward.local.port == 0)
		socket_local(transport->source.fd, &forward.local);
	x->request = buffer_take(&x->worker->buffers);
	if (!x->request)
		return -ENOMEM;
	/* In the request's own wire, so that a retry sends it again. */
	if (send != PROXY_PROTOCOL_NONE && greeting_put(send, session, transport, x->request) < 0)
		return -EMSGSIZE;
	err = forward_request_put(&forward, head, x->request);
	return err < 0 ? err : note_reply(x, asked);
}

/* All of it is visible ASCII. */
static void set_request_line(struct exchange *x, const struct http_head *head)
{
	struct http_writer w = {.ptr = x->request_line, .size = sizeof(x->request_line) - 1};
	struct slice target = head->target;

	http_put(&w, head->method_text);
	http_put(&w, SLICE(" "));
	if (target.len > w.size - w.len)
		target.len = w.size - w.len;
	http_put(&w, target);
	x->request_line[w.len] = '\0';
}

static void fill(struct exchange *x, const struct asked *asked)
{
	const struct session *session = &asked->client->session;

	set_request_line(x, asked->head);
	x->method = asked->head->method;
	x->upgrade = client_upgrade_wanted(asked->head);
	x->expects = asked->head->expect_continue;
	x->service_id = session->service_id;
	x->timeouts = asked->rule->timeouts;
	x->alone = asked->service->spec->proxy_protocol.send != PROXY_PROTOCOL_NONE;
	x->sticky = asked->sticky;
	x->client_addr = asked->forwarded.client;
	x->request_id_len = (uint8_t)asked->names.id.len;
	memcpy(x->request_id, asked->names.id.ptr, asked->names.id.len);
	x->key.client = asked->forwarded.client;
	x->key.hash = XXH64(&session->peer, sizeof(session->peer), session->service_id);
	body_writer_init(&x->writer, asked->head->framing);
}

/* The route's own answer. What is left of a body is not worth the connection. */
static int redirect(struct asked *asked, struct wire *out)
{
	struct client *client = asked->client;
	struct buffer_pool *buffers = &client->session.worker->buffers;
	struct redirect redirect = {.rule = asked->rule, .variables = &asked->variables};
	struct wire *notes = NULL;
	int err = 0;

	redirect.close = client_ends_after_answer(client);
	redirect.date = worker_date(client->session.worker);
	if (asked->rule->response_edits.n > 0) {
		notes = buffer_take(buffers);
		err = notes ? reply_edit_note(&asked->rule->response_edits, &asked->variables,
					      notes)
			    : -ENOMEM;
	}
	redirect.notes = notes;
	if (err == 0)
		err = redirect_write(&redirect, out);
	buffer_give(buffers, notes);
	return err;
}

/* A client of HTTP/1.0 may name no host: it is sent back to the address it has found us at. */
static void name_host(struct asked *asked, char text[static ADDR_TEXT_LEN])
{
	struct addr local = asked->client->session.local;

	if (asked->head->authority.len > 0)
		return;
	if (local.port == 0)
		socket_local(asked->client->channel.transport.source.fd, &local);
	asked->head->authority = slice_of(addr_format(&local, text));
}

static struct exchange *redirected(struct asked *asked, struct client_refusal *ret_refusal)
{
	struct wire *out = channel_out(&asked->client->channel);
	char text[ADDR_TEXT_LEN];
	int err;

	name_host(asked, text);
	/* A URI has no asterisk-form (RFC 9112 section 3.2.4). */
	if (slice_eq(asked->head->target, SLICE("*")))
		asked->head->target = SLICE("/");
	err = out ? redirect(asked, out) : -ENOMEM;
	if (err < 0)
		return refused(ret_refusal, 500,
			       err == -EMSGSIZE ? "response_head_too_large" : "no_memory");
	return refused(ret_refusal, asked->rule->spec->redirect.code, NULL);
}

/* RFC 9110 section 7.6.2: we are the last recipient. As with a redirect, a body is not waited for.
 */
static struct exchange *stopped_here(struct client *client, struct client_refusal *ret_refusal)
{
	struct wire *out = channel_out(&client->channel);

	if (!out || WIRE_ROOM - out->len < ERROR_REPLY_MAX)
		return refused(ret_refusal, 500, "no_memory");
	options_reply_write(client_ends_after_answer(client), worker_date(client->session.worker),
			    out);
	return refused(ret_refusal, 200, NULL);
}

static struct exchange *prepared(struct asked *asked, uint32_t pool,
				 struct client_refusal *ret_refusal)
{
	struct exchange *x = exchange_new(asked->client->session.worker, asked->client);
	int err;

	if (!x)
		return refused(ret_refusal, 500, "no_memory");
	x->pool = asked->snapshot->pools[pool].id;
	fill(x, asked);
	err = put_head(x, asked);
	if (err == 0)
		return x;
	exchange_abort(x);
	return err == -EMSGSIZE ? refused(ret_refusal, 431, "head_too_large")
				: refused(ret_refusal, 500, "no_memory");
}

static void set_variables(struct asked *asked)
{
	asked->variables.head = asked->head;
	asked->variables.client = asked->forwarded.client;
	asked->variables.request_id = asked->names.id;
	record_set_request_id(asked->client->record, asked->names.id);
	asked->variables.traceparent = asked->names.trace;
	asked->variables.proto = "http";
	asked->variables.service = asked->service->spec->name;
	asked->variables.pool = "";
}

/* Where a sticky client's backend is, else the next in turn. */
static uint32_t choose_pool(struct asked *asked, uint32_t route)
{
	const struct sticky_spec *sticky = &asked->service->spec->sticky;
	const uint32_t *pools = &asked->service->route_pool[asked->rule->first_pool];
	struct sticky_ask ask = {.now_ms = loop_now_ms(asked->client->session.worker->loop),
				 .drain_ms = asked->rule->timeouts.drain};
	int pool;

	if (sticky->cookie[0])
		asked->sticky = sticky_read(sticky, asked->head);
	ask.token = asked->sticky;
	pool = sticky_pool(asked->snapshot, pools, asked->rule->spec->n_shares, &ask);
	return pool >= 0 ? (uint32_t)pool
			 : snapshot_route_pool(asked->snapshot, asked->service, route);
}

static struct exchange *routed(struct asked *asked, uint32_t route,
			       struct client_refusal *ret_refusal)
{
	uint32_t pool;

	asked->rule = &asked->service->table->rules[route];
	forwarded_find(asked->service->spec, &asked->client->session.peer, asked->head,
		       &asked->forwarded);
	request_id_take(&asked->names, asked->head);
	set_variables(asked);
	if (asked->rule->spec->redirect.code)
		return redirected(asked, ret_refusal);
	pool = choose_pool(asked, route);
	asked->variables.pool = asked->snapshot->pools[pool].spec->name;
	record_set_pool(asked->client->record, asked->variables.pool);
	return prepared(asked, pool, ret_refusal);
}

struct exchange *client_request_new(struct client *client, struct http_head *head,
				    struct client_refusal *ret_refusal)
{
	const struct snapshot *snapshot = worker_snapshot(client->session.worker);
	struct asked asked = {.client = client, .head = head, .snapshot = snapshot};
	int route;

	asked.service = snapshot ? snapshot_find(snapshot, client->session.service_id) : NULL;
	if (!asked.service) /* one that was disabled drains */
		return refused(ret_refusal, 503, "service_gone");
	client->timeouts = asked.service->spec->timeouts;
	if (head->counts_hops && head->max_forwards == 0)
		return stopped_here(client, ret_refusal);
	route = route_find(asked.service->table, head);
	if (route < 0)
		return refused(ret_refusal, 404, "no_route");
	return routed(&asked, (uint32_t)route, ret_refusal);
}
