/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* POST /v1/trace of a request: which service, route and backend it would get, and why. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/parse.h"
#include "daemon/api.h"
#include "proxy/trace.h"

#define HTTP_PORT 80
#define WORDS	  160

static const char *const end_texts[] = {
	[HTTP_TRACE_REFUSED] = "refused",     [HTTP_TRACE_REDIRECTED] = "redirected",
	[HTTP_TRACE_ANSWERED] = "answered",   [HTTP_TRACE_QUEUED] = "queued",
	[HTTP_TRACE_FORWARDED] = "forwarded",
};
static const struct strtable end_names = STRTABLE(end_texts);

static const char *const sticky_texts[] = {
	[HTTP_TRACE_NOT_STICKY] = "",
	[HTTP_TRACE_NO_COOKIE] = "no_cookie",
	[HTTP_TRACE_ASTRAY] = "no_such_backend",
	[HTTP_TRACE_KNOWN] = "known",
};
static const struct strtable sticky_names = STRTABLE(sticky_texts);

/* ---- The question -------------------------------------------------------------------------- */

struct url {
	struct slice authority;
	struct slice target; /* may begin with '?', or be empty */
	bool literal;	     /* the host is an address: that of <to> */
	struct addr to;	     /* the port at least */
};

struct question {
	struct load_balancer *lb;
	const json_t *body;
	struct url url;
	struct addr from;
	const struct service_spec *service;
};

static bool wrong(struct control_reply *reply, const char *field, const char *value,
		  const char *why)
{
	control_fail(reply, 400, "invalid", field, "'%s': %s", value ? value : "", why);
	return false;
}

static const char *text_of(const struct question *question, const char *key)
{
	return json_string_value(json_object_get(question->body, key));
}

static struct slice until(struct slice text, const char *ends)
{
	size_t len = 0;

	while (len < text.len && !strchr(ends, text.ptr[len]))
		len++;
	return (struct slice){text.ptr, len};
}

/* Of a host that is a name: the number behind its last ':'. */
static const char *read_port(struct slice authority, in_port_t *ret_port)
{
	size_t at = authority.len;
	uint64_t port = HTTP_PORT;

	while (at > 0 && authority.ptr[at - 1] != ':')
		at--;
	if (at > 0 && (!parse_u64((struct slice){authority.ptr + at, authority.len - at}, &port) ||
		       port == 0 || port > UINT16_MAX))
		return "its port is not a number from 1 to 65535";
	*ret_port = htons((uint16_t)port);
	return NULL;
}

static const char *read_authority(struct url *url)
{
	if (url->authority.len == 0)
		return "it names no host";
	if (addr_parse(url->authority, false, &url->to))
		return read_port(url->authority, &url->to.port);
	url->literal = true;
	if (url->to.port == 0)
		url->to.port = htons(HTTP_PORT);
	return NULL;
}

/* Only taken apart here: what it holds is judged by the parser of requests. */
static const char *read_url(const char *text, struct url *url)
{
	struct slice rest = slice_of(text ? text : "");

	if (slice_starts(rest, SLICE("https://")))
		return "lbd does not end TLS: ask for 'http://...'";
	if (!slice_starts(rest, SLICE("http://")))
		return "a URL such as http://shop.example.com/path";
	rest = slice_of(text + strlen("http://"));
	url->authority = until(rest, "/?#");
	rest.ptr += url->authority.len;
	rest.len -= url->authority.len;
	url->target = until(rest, "#"); /* a fragment stays with the client */
	return read_authority(url);
}

static bool read_texts(struct question *question, struct control_reply *reply)
{
	const char *method = text_of(question, "method");
	const char *url = text_of(question, "url");
	const char *from = text_of(question, "from");
	const char *why = "the client's address, such as 10.0.0.2";
	const json_t *headers = json_object_get(question->body, "headers");

	if (!method || !*method)
		return wrong(reply, "method", method, "a method such as GET");
	if (from)
		why = addr_parse(slice_of(from), false, &question->from);
	if (why)
		return wrong(reply, "from", from, why);
	why = read_url(url, &question->url);
	if (why)
		return wrong(reply, "url", url, why);
	for (size_t i = 0; i < json_array_size(headers); i++)
		if (!json_is_string(json_array_get(headers, i)))
			return wrong(reply, "headers", "",
				     "a list of lines such as \"Name: value\"");
	return !headers || json_is_array(headers) ||
	       wrong(reply, "headers", "", "a list of lines such as \"Name: value\"");
}

/* ---- Which service ------------------------------------------------------------------------- */

/* 2: at that very address, 1: at any, 0: not. */
static int listens(const struct service_spec *service, const struct url *url)
{
	int best = 0;

	for (uint32_t i = 0; i < service->n_listen; i++) {
		const struct addr *at = &service->listen[i];

		if (at->port != url->to.port)
			continue;
		if (!url->literal || addr_equal(at, &url->to))
			return 2;
		if (addr_is_any(at) && (addr_is_ipv4(&url->to) || !addr_is_ipv4(at)))
			best = 1;
	}
	return best;
}

static bool ambiguous(const struct question *question, const struct service_spec *other,
		      struct control_reply *reply)
{
	control_fail(reply, 400, "ambiguous", "service",
		     "'%s' and '%s' both listen at port %u: say which one with 'service'",
		     question->service->name, other->name, ntohs(question->url.to.port));
	return false;
}

static bool find_listener(struct question *question, struct control_reply *reply)
{
	const struct config *config = question->lb->config;
	int best = 0;

	for (uint32_t i = 0; i < config->n_services; i++) {
		const struct service_spec *service = &config->services[i];
		int fit = service->protocol == PROTOCOL_HTTP ? listens(service, &question->url) : 0;

		if (fit > 0 && fit == best)
			return ambiguous(question, service, reply);
		if (fit > best) {
			question->service = service;
			best = fit;
		}
	}
	return best > 0 || wrong(reply, "url", text_of(question, "url"),
				 "no service of protocol http listens there: say which one is "
				 "meant with 'service'");
}

static bool find_service(struct question *question, struct control_reply *reply)
{
	const struct config *config = question->lb->config;
	const char *name = text_of(question, "service");

	if (!name)
		return find_listener(question, reply);
	for (uint32_t i = 0; i < config->n_services; i++)
		if (strcmp(config->services[i].name, name) == 0)
			question->service = &config->services[i];
	if (!question->service)
		api_not_found(reply, "service", name);
	else if (question->service->protocol != PROTOCOL_HTTP)
		return wrong(reply, "service", name, "its protocol is not http");
	return question->service;
}

/* The head that a client would send for it. */
static struct buffer make_head(const struct question *question)
{
	const json_t *headers = json_object_get(question->body, "headers");
	const struct url *url = &question->url;
	struct buffer head = {0};

	buffer_print(&head, "%s %s%.*s HTTP/1.1\r\nHost: %.*s\r\n", text_of(question, "method"),
		     slice_starts(url->target, SLICE("/")) ? "" : "/", SLICE_ARG(url->target),
		     SLICE_ARG(url->authority));
	for (size_t i = 0; i < json_array_size(headers); i++)
		buffer_print(&head, "%s\r\n", json_string_value(json_array_get(headers, i)));
	buffer_print(&head, "\r\n");
	return head;
}

/* ---- The answer ---------------------------------------------------------------------------- */

static void set(json_t *answer, const char *key, const char *text)
{
	(void)json_object_set_new(answer, key, json_string(text));
}

static void say_route(const struct http_trace *trace, json_t *answer)
{
	const struct route_spec *route = trace->route;
	json_t *methods = json_array();
	char client[ADDR_TEXT_LEN];

	for (uint32_t i = 0; route && i < route->n_methods; i++)
		(void)json_array_append_new(methods, json_string(route->methods[i]));
	if (route) {
		set(answer, "client", addr_format(&trace->forwarded.client, client));
		(void)json_object_set_new(answer, "trusted",
					  json_boolean(trace->forwarded.trusted));
		(void)json_object_set_new(answer, "route",
					  json_pack("{s:i,s:s,s:s,s:O}", "index",
						    (int)trace->route_index, "host", route->host,
						    "path", route->path, "method", methods));
	} else {
		(void)json_object_set_new(answer, "route", json_null());
	}
	json_decref(methods);
}

static void explain(const struct pool_entry *entry, const struct backend *backend,
		    char text[static WORDS])
{
	uint32_t limit = backend->spec.max_connections;
	const struct proxy *proxy = entry->lb->proxy;

	backend_explain(entry->pool, backend, text, WORDS);
	if (!backend_eligible(entry->pool, backend))
		return;
	text[0] = '\0';
	if (limit > 0 && http_trace_inside(proxy, backend->id) >= limit)
		(void)snprintf(text, WORDS, "full: max-connections is %u", limit);
}

static json_t *candidate_json(const struct pool_entry *entry, const struct backend *backend,
			      const struct http_trace *trace)
{
	bool eligible = backend_eligible(entry->pool, backend);
	bool chosen = trace->member && trace->member->id == backend->id;
	char address[ADDR_TEXT_LEN];
	char why[WORDS];

	explain(entry, backend, why);
	return json_pack("{s:s,s:s,s:i,s:I,s:b,s:s,s:b}", "name", backend->spec.name, "address",
			 addr_format(&backend->spec.addr, address), "weight",
			 (int)(eligible ? backend->effective_weight : backend->spec.weight), "open",
			 (json_int_t)live_open(backend->live), "eligible", (int)eligible, "why",
			 why, "chosen", (int)chosen);
}

static void say_pool(const struct question *question, const struct http_trace *trace,
		     json_t *answer)
{
	const char *name = trace->pool ? trace->pool->spec->name : "";
	struct pool_entry *entry = entry_find(question->lb, name);
	char address[ADDR_TEXT_LEN];
	json_t *list = json_array();

	if (trace->pool)
		set(answer, "pool", name);
	if (entry) {
		set(answer, "algorithm", pool_spec(entry->pool)->algorithm);
		list_for_each (node, pool_all(entry->pool))
			(void)json_array_append_new(list,
						    candidate_json(entry, backend_of(node), trace));
	}
	(void)json_object_set_new(answer, "candidates", list);
	(void)json_object_set_new(answer, "backend",
				  trace->member
					  ? json_string(addr_format(&trace->member->addr, address))
					  : json_null());
}

static void say_sticky(const struct question *question, const struct http_trace *trace,
		       json_t *answer)
{
	json_t *sticky;

	if (trace->sticky == HTTP_TRACE_NOT_STICKY)
		return;
	sticky = json_pack("{s:s,s:s}", "cookie", question->service->sticky.cookie, "is",
			   strtable_name(&sticky_names, (int)trace->sticky));
	if (trace->wanted)
		set(sticky, "backend", trace->wanted->name);
	(void)json_object_set_new(answer, "sticky", sticky);
}

static void say_refusal(const struct http_trace *trace, json_t *answer)
{
	static const struct {
		const char *reason, *words;
	} all[] = {
		{"denied", "'allow' and 'deny' of the service: the connection is reset"},
		{"rate_limited", "the source's 'rate' is used up: the connection is reset"},
		{"too_many_of_source", "the source has 'max-connections-per-source' open"},
		{"method_not_allowed", "lbd serves no request of this method"},
		{"no_route", "no route takes this host, path and method"},
		{"no_backend", "no backend of the pool is eligible"},
		{"queue_full", "all backends are full, and so is the pool's queue"},
		{"head_too_large", "the head is too large"},
	};

	set(answer, "reason", trace->reason);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (strcmp(all[i].reason, trace->reason) == 0) {
			set(answer, "words", all[i].words);
			return;
		}
	}
	set(answer, "words", "the head is malformed, from the byte at the offset on");
	(void)json_object_set_new(answer, "offset", json_integer((json_int_t)trace->offset));
}

static void say_end(const struct question *question, const struct http_trace *trace, json_t *answer)
{
	const struct proxy_protocol_spec *greeting = &question->service->proxy_protocol;
	struct slice head = wire_slice(&trace->head);

	set(answer, "end", strtable_name(&end_names, (int)trace->end));
	if (trace->status)
		(void)json_object_set_new(answer, "status", json_integer(trace->status));
	if (trace->end == HTTP_TRACE_REDIRECTED)
		set(answer, "location", trace->location);
	if (trace->waits)
		set(answer, "waits", trace->waits);
	if (trace->end == HTTP_TRACE_QUEUED)
		(void)json_object_set_new(answer, "ahead", json_integer(trace->n_waiting));
	if (trace->end == HTTP_TRACE_REFUSED) {
		say_refusal(trace, answer);
		return;
	}
	if (head.len == 0)
		return;
	if (greeting->send != PROXY_PROTOCOL_NONE)
		set(answer, "proxy_protocol",
		    strtable_name(&proxy_protocol_names, (int)greeting->send));
	(void)json_object_set_new(answer, "head", json_stringn(head.ptr, head.len));
}

static void answer(const struct question *question, struct control_reply *reply)
{
	struct load_balancer *lb = question->lb;
	struct http_trace *trace = malloc(sizeof(*trace));
	struct buffer head = make_head(question);
	struct http_trace_question asked = {
		.service = ids_find(&lb->service_ids, question->service->name),
		.from = question->from,
		.head = {head.ptr, head.len},
	};

	if (!trace || head.failed) {
		control_fail(reply, 500, "out_of_memory", NULL, "out of memory");
	} else if (!lb->proxy || http_trace(lb->proxy, &asked, trace) < 0) {
		control_fail(reply, 409, "closed", "service", "service '%s' is not open",
			     question->service->name);
	} else {
		reply->body = json_pack("{s:s,s:s}", "protocol", "http", "service",
					question->service->name);
		say_route(trace, reply->body);
		say_pool(question, trace, reply->body);
		say_sticky(question, trace, reply->body);
		say_end(question, trace, reply->body);
	}
	buffer_fini(&head);
	free(trace);
}

void api_trace_http(struct load_balancer *lb, const json_t *body, struct control_reply *reply)
{
	struct question question = {.lb = lb, .body = body};

	if (read_texts(&question, reply) && find_service(&question, reply))
		answer(&question, reply);
}
