/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "config/objects.h"

#define FIELD(name) offsetof(struct proxy_protocol_spec, name)

static const struct key proxy_protocol_keys[] = {
	{"accept", KEY_BOOL, FIELD(accept), 0, 0, NULL, NULL},
	{"send", KEY_WORD, FIELD(send), 0, 0, &proxy_protocol_names, NULL},
};

void read_proxy_protocol(struct build *build, const struct place *place, void *out)
{
	keys_read(build, place, proxy_protocol_keys, COUNT(proxy_protocol_keys), out);
}

static const struct doc *route_node(const struct doc *service, uint32_t i)
{
	const struct doc *routes = doc_get(service, "routes");
	const struct doc *child = routes ? routes->first : NULL;

	while (child && i-- > 0)
		child = child->next;
	return child;
}

/* All that a relay sees of a connection is the name in its ClientHello. */
static void check_relay_route(struct build *build, const struct place *route)
{
	static const char *const others[] = {"path",	"method",	    "redirect",
					     "headers", "response-headers", "timeouts"};

	for (size_t i = 0; i < COUNT(others); i++) {
		struct place at = place_at_key(route, others[i]);

		if (doc_get(route->doc, others[i]))
			complain_key(build, &at,
				     "'%s' is for 'protocol: http': a relay routes by the name "
				     "that a TLS client asks for ('host') alone: remove it",
				     others[i]);
	}
}

/* The kernel path rewrites packets: a header of its own in the stream would shift every sequence
 * number behind it. */
void check_proxying(struct build *build, const struct place *place,
		    const struct service_spec *service)
{
	static const char *const http_keys[] = {"trusted-proxies", "sticky"};
	struct place at = place_at_key(place, "proxy-protocol");

	if (service->path == PATH_KERNEL && doc_get(place->doc, "proxy-protocol"))
		complain_key(build, &at,
			     "'proxy-protocol' is for 'path: proxy': the kernel path passes a "
			     "connection's bytes on as they are: remove it");
	for (uint32_t i = 0; i < service->n_routes; i++) {
		const struct doc *node = route_node(place->doc, i);
		struct place route = place_child(place, node, "route");

		if (node && service->protocol == PROTOCOL_TCP)
			check_relay_route(build, &route);
	}
	for (size_t i = 0; i < COUNT(http_keys); i++) {
		at = place_at_key(place, http_keys[i]);
		if (i == 0 && service->proxy_protocol.accept)
			continue; /* whose headers of the PROXY protocol count */
		if (service->protocol != PROTOCOL_HTTP && doc_get(place->doc, http_keys[i]))
			complain_key(build, &at, "'%s' is for 'protocol: http': remove it",
				     http_keys[i]);
	}
}
