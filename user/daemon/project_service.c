/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "daemon/project_service.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Below what Linux gives to its own connections (ip_local_port_range begins at 32768). */
#define SNAT_FIRST_PORT 1024
#define SNAT_PORTS	(32768 - SNAT_FIRST_PORT)

/* ::ffff:0:0/96, where IPv4 is mapped. */
static const struct prefix all_ipv4 = {.ip = {[10] = 0xff, [11] = 0xff}, .bits = PREFIX_V4_BITS};

bool project_in_kernel(const struct service_spec *service)
{
	return service->enabled && service->path == PATH_KERNEL && service->n_routes > 0;
}

/* Addresses of the other family are for the service's other listeners. */
static int project_snat(const struct service_spec *spec, struct wanted_service *service)
{
	if (spec->n_snat == 0)
		return 0;
	service->snat = calloc(spec->n_snat, sizeof(*service->snat));
	if (!service->snat)
		return -ENOMEM;
	for (uint32_t i = 0; i < spec->n_snat; i++) {
		struct wanted_snat *snat = &service->snat[service->n_snat];

		if (addr_is_ipv4(&spec->snat[i]) != addr_is_ipv4(&service->listen))
			continue;
		memcpy(snat->ip, spec->snat[i].ip, sizeof(snat->ip));
		snat->first_port = SNAT_FIRST_PORT;
		snat->n_ports = SNAT_PORTS;
		service->n_snat++;
	}
	return 0;
}

static uint32_t flags_of(const struct service_spec *spec)
{
	uint32_t flags = 0;

	if (spec->no_flow == NO_FLOW_DROP)
		flags |= LB_SERVICE_NO_FLOW_DROP;
	if (spec->no_flow == NO_FLOW_PASS)
		flags |= LB_SERVICE_NO_FLOW_PASS;
	if (spec->n_allow + spec->n_deny > 0)
		flags |= LB_SERVICE_PREFIXES;
	if (spec->n_allow > 0)
		flags |= LB_SERVICE_ALLOW_ONLY;
	return flags;
}

int project_rules(const struct service_spec *spec, struct wanted_service *service)
{
	service->proto = spec->protocol == PROTOCOL_UDP ? LB_PROTO_UDP : LB_PROTO_TCP;
	service->forward = (uint8_t)spec->forward;
	service->flags = flags_of(spec);
	service->rate_new = spec->rate.new_flows;
	service->rate_ms = spec->rate.per_ms;
	service->rate_bits4 = (uint8_t)spec->rate.bits4;
	service->rate_bits6 = (uint8_t)spec->rate.bits6;
	return project_snat(spec, service);
}

/* ---- Prefixes ------------------------------------------------------------------------------- */

static void add_prefix(struct wanted *wanted, uint32_t service, const struct prefix *prefix,
		       bool deny)
{
	wanted->prefixes[wanted->n_prefixes++] =
		(struct wanted_prefix){.service = service, .prefix = *prefix, .deny = deny};
}

/* Counts the IPv6 prefixes that mapped addresses would fall in, unless 0.0.0.0/0 is listed. */
static uint32_t count_shadows(const struct prefix *list, uint32_t n, bool *ret_all_ipv4)
{
	uint32_t shadows = 0;

	for (uint32_t i = 0; i < n; i++) {
		if (prefix_equal(&list[i], &all_ipv4))
			*ret_all_ipv4 = true;
		else if (list[i].bits < PREFIX_V4_BITS && prefix_has(&list[i], all_ipv4.ip))
			shadows++;
	}
	return shadows;
}

/* "::/0" means IPv6: IPv4 is put back to what a source without a prefix gets. */
static void project_shadow(const struct service_spec *spec, uint32_t id, struct wanted *wanted)
{
	bool listed = false;
	uint32_t shadows = count_shadows(spec->allow, spec->n_allow, &listed) +
			   count_shadows(spec->deny, spec->n_deny, &listed);

	if (shadows && !listed)
		add_prefix(wanted, id, &all_ipv4, spec->n_allow > 0);
}

int project_prefixes(const struct service_spec *spec, uint32_t id, struct wanted *wanted)
{
	size_t n = (size_t)wanted->n_prefixes + spec->n_allow + spec->n_deny;
	struct wanted_prefix *prefixes;

	if (spec->n_allow + spec->n_deny == 0)
		return 0;
	prefixes = realloc(wanted->prefixes, (n + 1) * sizeof(*prefixes));
	if (!prefixes)
		return -ENOMEM;
	wanted->prefixes = prefixes;
	for (uint32_t i = 0; i < spec->n_allow; i++)
		add_prefix(wanted, id, &spec->allow[i], false);
	for (uint32_t i = 0; i < spec->n_deny; i++)
		add_prefix(wanted, id, &spec->deny[i], true);
	project_shadow(spec, id, wanted);
	return 0;
}

/* ---- Timeouts ------------------------------------------------------------------------------- */

static void take(uint32_t *timeout_ms, uint32_t wanted_ms)
{
	if (wanted_ms)
		*timeout_ms = wanted_ms;
}

/* config/ saw to it that no two services differ. */
void project_timeouts(const struct service_spec *spec, struct wanted *wanted)
{
	const struct flow_timeouts_spec *from = &spec->flow_timeouts;
	uint32_t *to = wanted->timeout_ms;

	take(&to[LB_FLOW_SYN], from->syn);
	take(&to[LB_FLOW_SYNACK], from->syn);
	take(&to[LB_FLOW_OPEN], from->open);
	take(&to[LB_FLOW_FIN_CLIENT], from->fin);
	take(&to[LB_FLOW_FIN_BACKEND], from->fin);
	take(&to[LB_FLOW_CLOSING], from->closing);
	take(&to[LB_FLOW_UDP_NEW], from->udp_new);
	take(&to[LB_FLOW_UDP_OPEN], from->udp);
}
