/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/objects.h"
#include "lb/abi.h"

#define MAX_LISTEN 64
#define MAX_SNAT   64

const struct doc *listen_node(const struct doc *service, uint32_t i)
{
	const struct doc *listen = doc_get(service, "listen");
	const struct doc *child;

	if (!listen || listen->kind != DOC_LIST)
		return listen ? listen : service;
	child = listen->first;
	while (child && i-- > 0)
		child = child->next;
	return child ? child : listen;
}

static void read_listen_one(struct build *build, const struct place *place,
			    struct service_spec *service)
{
	const char *why;

	if (!expect_kind(build, place, DOC_SCALAR))
		return;
	why = addr_parse(slice_of(place->doc->text), true, &service->listen[service->n_listen]);
	if (why)
		complain(build, place, "'listen: %.64s': %s", place->doc->text, why);
	else
		service->n_listen++;
}

static void read_listen(struct build *build, const struct place *place, void *out)
{
	struct service_spec *service = out;
	uint32_t n = place->doc->kind == DOC_LIST ? doc_count(place->doc) : 1;

	if (n > MAX_LISTEN) {
		complain(build, place, "'listen': at most %d addresses", MAX_LISTEN);
		return;
	}
	service->listen = build_array(build, n, sizeof(*service->listen));
	if (!service->listen)
		return;
	if (place->doc->kind != DOC_LIST) {
		read_listen_one(build, place, service);
		return;
	}
	for (const struct doc *child = place->doc->first; child; child = child->next) {
		struct place at = place_child(place, child, "listen");

		read_listen_one(build, &at, service);
	}
}

static void read_snat_one(struct build *build, const struct place *place,
			  struct service_spec *service)
{
	struct addr *addr = &service->snat[service->n_snat];
	const char *why;

	if (!expect_kind(build, place, DOC_SCALAR))
		return;
	why = addr_parse(slice_of(place->doc->text), false, addr);
	if (!why && addr->port)
		why = "give the address alone: ports are chosen";
	if (!why && addr_is_any(addr))
		why = "name an address of this host";
	if (why)
		complain(build, place, "'snat-addresses: %.64s': %s", place->doc->text, why);
	else
		service->n_snat++;
}

static void read_snat(struct build *build, const struct place *place, void *out)
{
	struct service_spec *service = out;
	uint32_t n = doc_count(place->doc);

	if (!expect_kind(build, place, DOC_LIST))
		return;
	if (n == 0 || n > MAX_SNAT) {
		complain(build, place, "'snat-addresses': from 1 to %d of them", MAX_SNAT);
		return;
	}
	service->snat = build_array(build, n, sizeof(*service->snat));
	for (const struct doc *child = place->doc->first; service->snat && child;
	     child = child->next) {
		struct place at = place_child(place, child, "address");

		read_snat_one(build, &at, service);
	}
}

/* "pool: web" is one route that everything takes. */
static void read_pool(struct build *build, const struct place *place, void *out)
{
	struct service_spec *service = out;

	if (!expect_kind(build, place, DOC_SCALAR) || service->routes ||
	    !expect_name(build, place, place->doc->text))
		return;
	service->routes = build_array(build, 1, sizeof(*service->routes));
	if (!service->routes)
		return;
	(void)snprintf(service->routes[0].pool, sizeof(service->routes[0].pool), "%.63s",
		       place->doc->text);
	service->n_routes = 1;
}

#define FIELD(name) offsetof(struct service_spec, name)

static const struct key service_keys[] = {
	{"listen", KEY_OBJECT, 0, 0, 0, NULL, read_listen},
	{"protocol", KEY_WORD, FIELD(protocol), 0, 0, &protocol_names, NULL},
	{"path", KEY_WORD, FIELD(path), 0, 0, &path_names, NULL},
	{"forward", KEY_WORD, FIELD(forward), 0, 0, &forward_names, NULL},
	{"pool", KEY_OBJECT, 0, 0, 0, NULL, read_pool},
	{"routes", KEY_OBJECT, 0, 0, 0, NULL, read_routes},
	{"enabled", KEY_BOOL, FIELD(enabled), 0, 0, NULL, NULL},
	{"timeouts", KEY_OBJECT, FIELD(timeouts), 0, 0, NULL, read_timeouts},
	{"max-connections", KEY_NUMBER, FIELD(max_connections), 1, POOL_MAX_CONNECTIONS, NULL,
	 NULL},
	{"max-connections-per-source", KEY_NUMBER, FIELD(max_per_source), 1, POOL_MAX_CONNECTIONS,
	 NULL, NULL},
	{"flow-timeouts", KEY_OBJECT, FIELD(flow_timeouts), 0, 0, NULL, read_flow_timeouts},
	{"no-flow", KEY_WORD, FIELD(no_flow), 0, 0, &no_flow_names, NULL},
	{"snat-addresses", KEY_OBJECT, 0, 0, 0, NULL, read_snat},
	{"allow", KEY_OBJECT, 0, 0, 0, NULL, read_allow},
	{"deny", KEY_OBJECT, 0, 0, 0, NULL, read_deny},
	{"rate", KEY_OBJECT, FIELD(rate), 0, 0, NULL, read_rate},
	{"proxy-protocol", KEY_OBJECT, FIELD(proxy_protocol), 0, 0, NULL, read_proxy_protocol},
	{"trusted-proxies", KEY_OBJECT, 0, 0, 0, NULL, read_trusted},
	{"access-log", KEY_OBJECT, FIELD(access_log), 0, 0, NULL, read_access_log},
	{"sticky", KEY_OBJECT, FIELD(sticky), 0, 0, NULL, read_sticky},
	{"hash", KEY_LATER, 0, 0, 0, NULL, NULL},
};

static void read_service(struct build *build, const struct place *place,
			 struct service_spec *service)
{
	if (!expect_name(build, place, place->doc->key))
		return;
	(void)snprintf(service->name, sizeof(service->name), "%s", place->doc->key);
	service->enabled = true;
	service->timeouts = (struct timeouts_spec){.client_header = 10000,
						   .client_body = 30000,
						   .client_idle = 60000,
						   .connect = 3000,
						   .response_header = 30000,
						   .response_idle = 30000,
						   .tunnel = 3600000,
						   .drain = 30000};
	keys_read(build, place, service_keys, COUNT(service_keys), service);
	if (service->protocol == PROTOCOL_HTTP && !doc_get(place->doc, "path"))
		service->path = PATH_PROXY;
}

void read_services(struct build *build, const struct place *place, void *out)
{
	struct config *config = out;
	uint32_t n = doc_count(place->doc);

	if (place->doc->kind == DOC_NULL || !expect_kind(build, place, DOC_MAP))
		return;
	if (n >= LB_MAX_SERVICES) {
		complain(build, place, "%u services: at most %u", n, LB_MAX_SERVICES - 1);
		return;
	}
	config->services = build_array(build, n, sizeof(*config->services));
	for (const struct doc *child = place->doc->first; config->services && child;
	     child = child->next) {
		struct place at = place_child(place, child, child->key);

		read_service(build, &at, &config->services[config->n_services++]);
	}
}
