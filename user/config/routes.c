/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Routes of a service, and the time-outs that both may have. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/objects.h"
#include "observe/spec.h"

#define MAX_ROUTES 1024
#define MAX_WEIGHT 256
#define DAY_MS	   86400000

/* ---- Time-outs ------------------------------------------------------------------------------ */

#define TIMEOUT(name) KEY_DURATION, offsetof(struct timeouts_spec, name), 1, DAY_MS, NULL, NULL

static const struct key timeout_keys[] = {
	{"client-header", TIMEOUT(client_header)},
	{"client-body", TIMEOUT(client_body)},
	{"client-idle", TIMEOUT(client_idle)},
	{"connect", TIMEOUT(connect)},
	{"response-header", TIMEOUT(response_header)},
	{"response-idle", TIMEOUT(response_idle)},
	{"tunnel", TIMEOUT(tunnel)},
	{"drain", TIMEOUT(drain)},
	{"queue", TIMEOUT(queue)},
};

void read_timeouts(struct build *build, const struct place *place, void *out)
{
	keys_read(build, place, timeout_keys, COUNT(timeout_keys), out);
}

/* Before its head is read, and after its answer, a connection has no route. */
static void read_route_timeouts(struct build *build, const struct place *place, void *out)
{
	static const char *const others[] = {"client-header", "client-idle", "drain"};

	read_timeouts(build, place, out);
	for (size_t i = 0; i < COUNT(others); i++) {
		struct place at = place_at_key(place, others[i]);

		if (doc_get(place->doc, others[i]))
			complain_key(build, &at, "'%s' is the service's, no route's: move it there",
				     others[i]);
	}
}

/* ---- What it takes -------------------------------------------------------------------------- */

static bool host_valid(const char *host)
{
	size_t dots = strncmp(host, "*.", 2) == 0 ? 2 : 0;

	if (host[dots] == '[')
		return strspn(host, "[]0123456789abcdef:.") == strlen(host);
	return host[dots] && host[dots] != '.' && host[strlen(host) - 1] != '.' &&
	       strspn(host + dots, "abcdefghijklmnopqrstuvwxyz0123456789._-") ==
		       strlen(host + dots);
}

static void check_host(struct build *build, const struct place *route, struct route_spec *spec)
{
	struct place place = place_at_key(route, "host");

	for (char *c = spec->host; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	if (spec->host[0] && !host_valid(spec->host))
		complain(build, &place,
			 "'host: %.64s': must be a name without a port, like example.com, or "
			 "*.example.com for every name below it",
			 spec->host);
}

static const char *path_fault(const char *path)
{
	const char *percent = strchr(path, '%');

	if (path[0] != '/')
		return "must begin with '/'";
	if (strpbrk(path, "?#"))
		return "queries and fragments are not looked at: leave out what follows the path";
	if (percent && isxdigit((unsigned char)percent[1]) && isxdigit((unsigned char)percent[2]))
		return "write it decoded: requests are compared with it after decoding";
	if (strstr(path, "//") || strstr(path, "/./") || strstr(path, "/../"))
		return "would never fit: '//', '/./' and '/../' are resolved before";
	return NULL;
}

static void check_path(struct build *build, const struct place *route,
		       const struct route_spec *spec)
{
	struct place place = place_at_key(route, "path");
	const char *why = spec->path[0] ? path_fault(spec->path) : NULL;

	if (why)
		complain(build, &place, "'path: %.64s': %s", spec->path, why);
}

static bool is_method(const char *text)
{
	size_t len = strlen(text);

	return len > 0 && len < METHOD_NAME_LEN &&
	       strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == len;
}

static void read_method_one(struct build *build, const struct place *place,
			    struct route_spec *route)
{
	const char *text = place->doc->text;

	if (!expect_kind(build, place, DOC_SCALAR))
		return;
	if (!is_method(text))
		complain(build, place, "'method: %.64s': must be a method in capitals, like GET",
			 text);
	else if (strcmp(text, "CONNECT") == 0 || strcmp(text, "TRACE") == 0)
		complain(build, place, "'method: %s' would never fit: lbd refuses it with 405",
			 text);
	else
		(void)snprintf(route->methods[route->n_methods++], METHOD_NAME_LEN, "%.23s", text);
}

static void read_method(struct build *build, const struct place *place, void *out)
{
	uint32_t n = doc_count(place->doc);

	if (place->doc->kind != DOC_LIST) {
		read_method_one(build, place, out);
		return;
	}
	if (n == 0 || n > ROUTE_MAX_METHODS) {
		complain(build, place, "'method': from 1 to %d of them", ROUTE_MAX_METHODS);
		return;
	}
	for (const struct doc *child = place->doc->first; child; child = child->next) {
		struct place at = place_child(place, child, "method");

		read_method_one(build, &at, out);
	}
}

/* ---- Where it leads ------------------------------------------------------------------------- */

static const struct key share_keys[] = {
	{"pool", KEY_TEXT, offsetof(struct share_spec, pool), 0, SERVICE_NAME_LEN, NULL, NULL},
	{"weight", KEY_NUMBER, offsetof(struct share_spec, weight), 0, MAX_WEIGHT, NULL, NULL},
};

static void read_share(struct build *build, const struct place *place, struct share_spec *share)
{
	share->weight = 1;
	keys_read(build, place, share_keys, COUNT(share_keys), share);
	if (place->doc->kind == DOC_MAP && !doc_get(place->doc, "pool"))
		complain(build, place, "'pool' is missing: whose weight is it?");
}

static void check_shares(struct build *build, const struct place *place,
			 const struct route_spec *route)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < route->n_shares; i++) {
		sum += route->shares[i].weight;
		for (uint32_t j = 0; j < i; j++) {
			if (strcmp(route->shares[i].pool, route->shares[j].pool) == 0)
				complain(build, place, "pool '%s' is here twice: add the weights",
					 route->shares[i].pool);
		}
	}
	if (sum == 0)
		complain(build, place, "'pools': one weight at least must be above 0");
}

static void read_shares(struct build *build, const struct place *place, void *out)
{
	struct route_spec *route = out;
	uint32_t n = doc_count(place->doc);

	if (!expect_kind(build, place, DOC_LIST))
		return;
	if (n == 0 || n > ROUTE_MAX_SHARES) {
		complain(build, place, "'pools': from 1 to %d of them", ROUTE_MAX_SHARES);
		return;
	}
	route->shares = build_array(build, n, sizeof(*route->shares));
	for (const struct doc *child = place->doc->first; route->shares && child;
	     child = child->next) {
		struct place at = place_child(place, child, "share");

		read_share(build, &at, &route->shares[route->n_shares++]);
	}
	if (route->shares)
		check_shares(build, place, route);
}

static void read_code(struct build *build, const struct place *place, void *out)
{
	static const char *const codes[] = {"301", "302", "303", "307", "308"};
	uint32_t *code = out;

	if (!expect_kind(build, place, DOC_SCALAR))
		return;
	for (size_t i = 0; i < COUNT(codes); i++) {
		if (strcmp(place->doc->text, codes[i]) == 0)
			*code = (uint32_t)strtoul(codes[i], NULL, 10);
	}
	if (*code == 0)
		complain(build, place, "'code: %.64s': must be one of 301, 302, 303, 307, 308",
			 place->doc->text);
}

static const struct key redirect_keys[] = {
	{"to", KEY_TEXT, offsetof(struct redirect_spec, to), 0,
	 sizeof(((struct redirect_spec *)NULL)->to), NULL, NULL},
	{"code", KEY_OBJECT, offsetof(struct redirect_spec, code), 0, 0, NULL, read_code},
};

/* Where it leads must be the operator's word: "${target}" may begin with "//somewhere.else". */
static bool leads_somewhere(const char *to)
{
	static const char *const starts[] = {"http://", "https://"};

	for (size_t i = 0; i < COUNT(starts); i++) {
		if (strncmp(to, starts[i], strlen(starts[i])) == 0 && to[strlen(starts[i])])
			return true;
	}
	return to[0] == '/' && (to[1] == '\0' || !strchr("/\\$", to[1]));
}

static const char *redirect_fault(const char *to, struct error *err)
{
	if (!leads_somewhere(to))
		return "must begin with https://, http:// or a path of your own, like "
		       "https://${host}${target}";
	if (strpbrk(to, " \"<>\\^`"))
		return "must be a URL: percent-encode what is none";
	if (format_check(slice_of(to), &variable_names, err) < 0)
		return err->message;
	if (strstr(to, "${backend}"))
		return "'${backend}': a redirect has none";
	return strstr(to, "${pool}") ? "'${pool}': a redirect has none" : NULL;
}

static void read_redirect(struct build *build, const struct place *place, void *out)
{
	struct redirect_spec *redirect = out;
	struct place at = place_at_key(place, "to");
	struct error err = {0};
	const char *why;

	keys_read(build, place, redirect_keys, COUNT(redirect_keys), redirect);
	if (place->doc->kind != DOC_MAP)
		return;
	if (!doc_get(place->doc, "to"))
		complain(build, place, "'to' is missing: where should it lead?");
	why = redirect->to[0] ? redirect_fault(redirect->to, &err) : NULL;
	if (why)
		complain(build, &at, "'to: %.64s': %s", redirect->to, why);
	if (!doc_get(place->doc, "code"))
		redirect->code = 302;
}

/* ---- One route ------------------------------------------------------------------------------ */

#define FIELD(name) offsetof(struct route_spec, name)
#define TEXT(name)  FIELD(name), 0, sizeof(((struct route_spec *)NULL)->name)

static const struct key route_keys[] = {
	{"host", KEY_TEXT, TEXT(host), NULL, NULL},
	{"path", KEY_TEXT, TEXT(path), NULL, NULL},
	{"method", KEY_OBJECT, 0, 0, 0, NULL, read_method},
	{"pool", KEY_TEXT, TEXT(pool), NULL, NULL},
	{"pools", KEY_OBJECT, 0, 0, 0, NULL, read_shares},
	{"redirect", KEY_OBJECT, FIELD(redirect), 0, 0, NULL, read_redirect},
	{"headers", KEY_OBJECT, FIELD(request_headers), 0, 0, NULL, read_request_headers},
	{"response-headers", KEY_OBJECT, FIELD(response_headers), 0, 0, NULL,
	 read_response_headers},
	{"timeouts", KEY_OBJECT, FIELD(timeouts), 0, 0, NULL, read_route_timeouts},
};

static void check_ends(struct build *build, const struct place *place)
{
	static const char *const ends[] = {"pool", "pools", "redirect"};
	const char *first = NULL;

	for (size_t i = 0; i < COUNT(ends); i++) {
		struct place at = place_at_key(place, ends[i]);

		if (!doc_get(place->doc, ends[i]))
			continue;
		if (first)
			complain_key(build, &at, "'%s' and '%s' exclude each other: keep one",
				     first, ends[i]);
		first = ends[i];
	}
	if (!first)
		complain(build, place,
			 "'pool' is missing: a route leads to one, or has 'pools' or a 'redirect'");
}

/* A redirect goes nowhere, and has nowhere to tell of. */
static void check_redirect_headers(struct build *build, const struct place *place,
				   const struct route_spec *route)
{
	struct place at = place_at_key(place, "headers");

	if (route->redirect.code && doc_get(place->doc, "headers"))
		complain_key(build, &at,
			     "'headers' are for requests to a pool: a redirect's own are in "
			     "'response-headers'");
}

static void read_route(struct build *build, const struct place *place, struct route_spec *route)
{
	keys_read(build, place, route_keys, COUNT(route_keys), route);
	if (place->doc->kind != DOC_MAP)
		return;
	check_host(build, place, route);
	check_path(build, place, route);
	check_redirect_headers(build, place, route);
	check_ends(build, place);
}

void read_routes(struct build *build, const struct place *place, void *out)
{
	struct service_spec *service = out;
	uint32_t n = doc_count(place->doc);

	if (!expect_kind(build, place, DOC_LIST))
		return;
	if (n == 0 || n > MAX_ROUTES) {
		complain(build, place, "'routes': from 1 to %d of them", MAX_ROUTES);
		return;
	}
	free(service->routes); /* "pool:" was given too, which check.c reports */
	service->n_routes = 0;
	service->routes = build_array(build, n, sizeof(*service->routes));
	for (const struct doc *child = place->doc->first; service->routes && child;
	     child = child->next) {
		struct place at = place_child(place, child, "route");

		read_route(build, &at, &service->routes[service->n_routes++]);
	}
}
