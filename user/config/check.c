/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <stdio.h>
#include <string.h>

#include "config/objects.h"

/* A service with the node it was read from. */
struct subject {
	struct build *build;
	const struct service_spec *service;
	struct place place;
};

static struct place at_key(const struct subject *subject, const char *key)
{
	return place_at_key(&subject->place, key);
}

/* ---- The kernel path ------------------------------------------------------------------------ */

/* A packet is looked up by its whole destination: a wildcard would never match one. */
static void check_kernel_listen(const struct subject *subject, uint32_t i)
{
	const struct addr *addr = &subject->service->listen[i];
	struct place place =
		place_child(&subject->place, listen_node(subject->place.doc, i), "listen");

	if (addr_is_any(addr))
		complain(subject->build, &place,
			 "the kernel path needs one address, not a wildcard: name the address that "
			 "clients connect to, or use 'path: proxy'");
}

/* Each family that is listened on needs a source of its own. */
static void check_snat(const struct subject *subject)
{
	const struct service_spec *service = subject->service;
	struct place place = at_key(subject, "snat-addresses");
	bool v4 = false;
	bool v6 = false;

	if (service->forward != FORWARD_SNAT && doc_get(subject->place.doc, "snat-addresses"))
		complain(subject->build, &place,
			 "'snat-addresses' are for 'forward: snat': remove them");
	if (service->forward != FORWARD_SNAT)
		return;
	for (uint32_t i = 0; i < service->n_snat; i++) {
		v4 = v4 || addr_is_ipv4(&service->snat[i]);
		v6 = v6 || !addr_is_ipv4(&service->snat[i]);
	}
	for (uint32_t i = 0; i < service->n_listen; i++) {
		bool four = addr_is_ipv4(&service->listen[i]);

		if (four ? v4 : v6)
			continue;
		complain(subject->build, &subject->place,
			 "'forward: snat' needs 'snat-addresses' with %s, the source that backends "
			 "will see",
			 four ? "an IPv4 address" : "an IPv6 address");
		return;
	}
}

static void check_supported(const struct subject *subject)
{
	const struct service_spec *service = subject->service;
	struct place place;

	if (service->path == PATH_PROXY && service->protocol == PROTOCOL_UDP) {
		place = at_key(subject, "path");
		complain(subject->build, &place,
			 "'protocol: udp' needs 'path: kernel': the proxy relays TCP");
	}
	if (service->path != PATH_KERNEL)
		return;
	check_snat(subject);
	if (doc_get(subject->place.doc, "timeouts")) {
		place = at_key(subject, "timeouts");
		complain_key(subject->build, &place, "'timeouts' are for 'path: proxy': remove it");
	}
	for (uint32_t i = 0; i < service->n_listen; i++)
		check_kernel_listen(subject, i);
}

/* ---- One service ---------------------------------------------------------------------------- */

static void check_combination(const struct subject *subject)
{
	const struct service_spec *service = subject->service;
	const struct doc *doc = subject->place.doc;
	struct place place = at_key(subject, "path");

	if (service->protocol == PROTOCOL_HTTP && service->path == PATH_KERNEL)
		complain(subject->build, &place,
			 "'protocol: http' needs 'path: proxy': leave path out");
	place = at_key(subject, "forward");
	if (service->path == PATH_PROXY && doc_get(doc, "forward"))
		complain(subject->build, &place, "'forward' is for 'path: kernel': remove it");
	place = at_key(subject, "routes");
	if (doc_get(doc, "routes") && doc_get(doc, "pool"))
		complain(subject->build, &place,
			 "'pool' and 'routes' exclude each other: keep one");
	if (doc_get(doc, "routes") && service->path == PATH_KERNEL)
		complain(subject->build, &place, "'routes' are for 'path: proxy': use 'pool'");
	if (!doc_get(doc, "pool") && !doc_get(doc, "routes"))
		complain(subject->build, &subject->place,
			 "'pool' is missing: where should it lead?");
	if (!doc_get(doc, "listen"))
		complain(subject->build, &subject->place,
			 "'listen' is missing: give an address and port");
}

static const struct doc *nth(const struct doc *list, uint32_t i)
{
	const struct doc *child = list ? list->first : NULL;

	while (child && i-- > 0)
		child = child->next;
	return child;
}

/* Where the name of a route's pool stands: "pool" of the service or route, or one of "pools". */
static const struct doc *pool_node(const struct doc *service, uint32_t route, uint32_t share)
{
	const struct doc *routes = doc_get(service, "routes");
	const struct doc *node = routes ? nth(routes, route) : service;
	const struct doc *pools = node ? doc_get(node, "pools") : NULL;
	const struct doc *pool;

	if (pools)
		node = nth(pools, share);
	pool = node ? doc_get(node, "pool") : NULL;
	return pool ? pool : routes;
}

static void check_missing_pool(const struct subject *subject, const struct place *place,
			       const char *name)
{
	const struct config *config = subject->build->config;
	const char *near = NULL;

	for (uint32_t i = 0; i < config->n_pools && !near; i++) {
		const char *candidate = config->pools[i].pool.name;

		near = strtable_nearest(&candidate, 1, slice_of(name));
	}
	if (near)
		complain(subject->build, place, "there is no pool '%s': did you mean '%s'?", name,
			 near);
	else
		complain(subject->build, place, "there is no pool '%s': add it under pools", name);
}

/* Where the packet reaches the backend as the client sent it, its port is the service's. */
static bool port_fits(const struct service_spec *service, const struct backend_spec *backend)
{
	for (uint32_t i = 0; i < service->n_listen; i++) {
		if (backend->addr.port && service->listen[i].port != backend->addr.port)
			return false;
	}
	return true;
}

static bool family_fits(const struct service_spec *service, const struct backend_spec *backend)
{
	for (uint32_t i = 0; i < service->n_listen; i++) {
		if (addr_is_ipv4(&service->listen[i]) != addr_is_ipv4(&backend->addr))
			return false;
	}
	return true;
}

static void check_forward(const struct subject *subject, const struct place *place,
			  const struct pool_spec *pool, const struct backend_spec *backend)
{
	const struct service_spec *service = subject->service;
	const char *forward = strtable_name(&forward_names, (int)service->forward);

	if (service->forward >= FORWARD_DSR && !port_fits(service, backend))
		complain(subject->build, place,
			 "backend '%s' of pool '%s' has another port than the service: 'forward: "
			 "%s' changes none; use nat or snat",
			 backend->name, pool->name, forward);
	if (service->forward <= FORWARD_DSR && !family_fits(service, backend))
		complain(subject->build, place,
			 "backend '%s' of pool '%s' and the service's address are of different "
			 "families: 'forward: %s' cannot change that; use ipip or gue",
			 backend->name, pool->name, forward);
}

static void check_backends_of(const struct subject *subject, const struct place *place,
			      const struct pool_spec *pool)
{
	bool kernel = subject->service->path == PATH_KERNEL;

	for (uint32_t i = 0; i < pool->n_backends; i++) {
		const struct backend_spec *backend = &pool->backends[i];

		if (!kernel && backend->addr.port == 0)
			complain(subject->build, place,
				 "backend '%s' of pool '%s' has no port: the proxy path needs one",
				 backend->name, pool->name);
		if (kernel)
			check_forward(subject, place, pool, backend);
	}
}

static void check_route(const struct subject *subject, uint32_t i)
{
	const struct route_spec *route = &subject->service->routes[i];

	for (uint32_t j = 0; j < route_n_pools(route); j++) {
		const char *name = route_pool_name(route, j);
		const struct config_pool *pool = config_find_pool(subject->build->config, name);
		struct place place =
			place_child(&subject->place, pool_node(subject->place.doc, i, j), "pool");

		if (pool)
			check_backends_of(subject, &place, &pool->pool);
		else if (name[0])
			check_missing_pool(subject, &place, name);
	}
}

static void check_routes(const struct subject *subject)
{
	for (uint32_t i = 0; i < subject->service->n_routes; i++)
		check_route(subject, i);
}

/* ---- Two services --------------------------------------------------------------------------- */

/* "[::]" takes IPv4 too (ipv6(7), IPV6_V6ONLY is cleared in net/); "0.0.0.0" takes no IPv6. */
static bool takes(const struct addr *wide, const struct addr *addr)
{
	return addr_is_any(wide) && (!addr_is_ipv4(wide) || addr_is_ipv4(addr));
}

static bool overlap(const struct service_spec *a, const struct addr *at,
		    const struct service_spec *b, const struct addr *bt)
{
	bool udp = a->protocol == PROTOCOL_UDP;

	if (udp != (b->protocol == PROTOCOL_UDP) || at->port != bt->port)
		return false;
	if (addr_equal(at, bt))
		return true;
	return takes(at, bt) || takes(bt, at);
}

static void check_overlap(const struct subject *subject, uint32_t i,
			  const struct service_spec *other)
{
	const struct addr *addr = &subject->service->listen[i];
	char text[ADDR_TEXT_LEN];
	struct place place;

	for (uint32_t j = 0; j < other->n_listen; j++) {
		if (other == subject->service && j >= i)
			return;
		if (!overlap(subject->service, addr, other, &other->listen[j]))
			continue;
		place = place_child(&subject->place, listen_node(subject->place.doc, i), "listen");
		complain(subject->build, &place, "'%s' overlaps a listener of service '%s'",
			 addr_format(addr, text), other->name);
		return;
	}
}

static void check_overlaps(const struct subject *subject)
{
	const struct config *config = subject->build->config;

	for (uint32_t i = 0; i < subject->service->n_listen; i++) {
		for (const struct service_spec *other = config->services; other <= subject->service;
		     other++)
			check_overlap(subject, i, other);
	}
}

void check_config(struct build *build, const struct doc *doc)
{
	const struct doc *services = doc_get(doc, "services");
	const struct doc *node = services ? services->first : NULL;
	struct place top = {.doc = services, .path = "services"};

	for (uint32_t i = 0; node && i < build->config->n_services; i++, node = node->next) {
		struct subject subject = {.build = build,
					  .service = &build->config->services[i],
					  .place = place_child(&top, node, node->key)};

		if (!subject.service->name[0])
			continue;
		check_combination(&subject);
		check_supported(&subject);
		check_routes(&subject);
		check_overlaps(&subject);
		check_protection(build, &subject.place, subject.service);
		check_proxying(build, &subject.place, subject.service);
		check_access_log(build, &subject.place, subject.service);
	}
	if (services)
		check_prefix_count(build, &top);
}
