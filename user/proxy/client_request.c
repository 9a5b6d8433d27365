/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "proxy/client_request.h"

#include <errno.h>
#include <xxhash.h>

#include "net/socket.h"
#include "proxy/forward.h"
#include "proxy/route.h"

static struct exchange *refused(struct client_refusal *ret_refusal, unsigned status,
				const char *why)
{
	*ret_refusal = (struct client_refusal){.status = status, .why = why};
	return NULL;
}

/* RFC 9110 section 9.3.6 and 9.3.8: tunnels to anywhere and echoes of what other proxies have
 * added are not for a load balancer's clients. */
static bool method_allowed(const struct http_head *head)
{
	return head->method != HTTP_CONNECT && head->method != HTTP_TRACE;
}

/* An upgrade with a body has two meanings of what follows it; h2c is never passed on. */
static bool upgrade_wanted(const struct http_head *head)
{
	const struct http_header *upgrade = http_find(head, HTTP_H_UPGRADE);

	return head->upgrade && upgrade && head->minor > 0 && head->framing == HTTP_BODY_NONE &&
	       !slice_caseeq(upgrade->value, SLICE("h2c"));
}

static int put_head(struct exchange *x, const struct client *client, struct http_head *head)
{
	struct forward_request forward = {
		.client = client->session.peer,
		.upgrade = x->upgrade,
		.proto = "http",
	};

	/* Asked only where it is needed: it is a system call. */
	if (head->minor == 0 && head->authority.len == 0)
		socket_local(client->channel.transport.source.fd, &forward.local);
	x->request = buffer_take(&x->worker->buffers);
	return x->request ? forward_request_put(&forward, head, x->request) : -ENOMEM;
}

static void fill(struct exchange *x, const struct client *client, const struct http_head *head,
		 const struct service_spec *spec)
{
	const struct session *session = &client->session;

	x->method = head->method;
	x->upgrade = upgrade_wanted(head);
	x->service_id = session->service_id;
	x->timeouts = spec->timeouts;
	x->key.client = session->peer;
	x->key.hash = XXH64(&session->peer, sizeof(session->peer), session->service_id);
	body_writer_init(&x->writer, head->framing);
}

struct exchange *client_request_new(struct client *client, struct http_head *head,
				    struct client_refusal *ret_refusal)
{
	struct worker *worker = client->session.worker;
	const struct snapshot *snapshot = worker_snapshot(worker);
	const struct snapshot_service *service;
	struct exchange *x;
	int route, err;

	service = snapshot ? snapshot_find(snapshot, client->session.service_id) : NULL;
	if (!service || !service->spec->enabled)
		return refused(ret_refusal, 503, "service_gone");
	client->timeouts = service->spec->timeouts;
	if (!method_allowed(head))
		return refused(ret_refusal, 405, "method_not_allowed");
	route = route_find(service->spec, head->authority, head->target);
	if (route < 0)
		return refused(ret_refusal, 404, "no_route");
	x = exchange_new(worker, client);
	if (!x)
		return refused(ret_refusal, 500, "no_memory");
	x->pool = snapshot->pools[service->route_pool[route]].id;
	fill(x, client, head, service->spec);
	err = put_head(x, client, head);
	if (err < 0) {
		exchange_abort(x);
		return err == -EMSGSIZE ? refused(ret_refusal, 431, "head_too_large")
					: refused(ret_refusal, 500, "no_memory");
	}
	return x;
}
