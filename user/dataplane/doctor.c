/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "dataplane/doctor.h"

#include <linux/neighbour.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dataplane/doctor_facts.h"
#include "dataplane/route.h"
#include "dataplane/state.h"

#define BACKENDS_MOST 1024 /* looked at, so that thousands do not hold up the control thread */

#define OUTER4	20
#define OUTER6	40
#define UDP_LEN 8

static bool is_v4(const struct lb_ip *ip)
{
	return route_is_ipv4(ip->b);
}

static void say_ip(const struct lb_ip *ip, char text[static ADDR_TEXT_LEN])
{
	struct addr addr = route_addr(ip->b);

	addr_format_ip(&addr, text);
}

/* ---- Services ------------------------------------------------------------------------------ */

/* What the services say together, and by pool. */
struct survey {
	struct host_facts host;
	uint8_t mode[LB_MAX_POOLS]; /* enum lb_forward + 1 of the pool's services, the widest */
	const struct report_to *to;
};

static void survey_one(struct survey *survey, const struct lb_service_key *key,
		       const struct lb_service *service)
{
	struct host_facts *host = &survey->host;
	char vip[ADDR_TEXT_LEN];
	char name[LB_NAME_LEN];

	if (key->proto == LB_PROTO_ICMP)
		return; /* belongs to another entry */
	host->has_v4 |= is_v4(&key->addr);
	host->has_v6 |= !is_v4(&key->addr);
	host->has_two_way |= service->forward <= LB_FORWARD_SNAT;
	if (service->pool < LB_MAX_POOLS && survey->mode[service->pool] < service->forward + 1)
		survey->mode[service->pool] = (uint8_t)(service->forward + 1);
	if (!is_local_address(&key->addr))
		return;
	host->has_local_vip |= is_v4(&key->addr);
	say_ip(&key->addr, vip);
	(void)snprintf(name, sizeof(name), "%.*s", LB_NAME_LEN - 1, service->name);
	judge_vip(name, vip, survey->to);
}

static void survey_services(struct dataplane *dp, struct survey *survey)
{
	struct lb_service_key prev;
	struct lb_service_key key;
	struct lb_service service;

	for (uint32_t i = 0; i < LB_MAX_LISTENERS; i++) {
		if (kernel_map_ops.service_next(&dp->maps, i ? &prev : NULL, &key, &service) != 0)
			return;
		prev = key;
		survey_one(survey, &key, &service);
	}
}

static void survey_snat(const struct dataplane *dp, struct host_facts *host)
{
	for (uint32_t i = 1; i < LB_MAX_SNAT; i++) {
		const struct lb_snat *row = &dp->maps.snat[i];
		uint32_t last = row->first_port + row->n_ports - 1U;

		if (!row->n_ports || !is_local_address(&row->addr))
			continue;
		if (!host->snat_last || row->first_port < host->snat_first)
			host->snat_first = row->first_port;
		if (last > host->snat_last)
			host->snat_last = last;
	}
}

static void survey_host(struct dataplane *dp, struct survey *survey)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	struct host_facts *host = &survey->host;

	survey_services(dp, survey);
	survey_snat(dp, host);
	host->cpus = cpus > 0 ? (uint32_t)cpus : 1;
	host->rp_filter_all = sysctl_ask("ipv4/conf/%s/rp_filter", "all");
	host->accept_local_all = sysctl_ask("ipv4/conf/%s/accept_local", "all");
	ports_ask(&host->port_first, &host->port_last);
}

/* ---- Interfaces ---------------------------------------------------------------------------- */

/* Returns the largest MTU: so much may come in. */
static uint32_t look_at_interfaces(const struct dataplane *dp, const struct survey *survey)
{
	uint32_t mtu = 0;

	for (uint32_t i = 0; i < dp->n_attachments; i++) {
		const struct attachment *attachment = &dp->attachments[i];
		struct interface_facts iface = {.hook = attachment->hook};

		if (!attachment->ifindex)
			continue;
		memcpy(iface.name, attachment->spec.name, sizeof(iface.name));
		interface_ask(&iface, attachment->ifindex);
		judge_interface(&iface, &survey->host, survey->to);
		if (iface.mtu > mtu)
			mtu = iface.mtu;
	}
	return mtu;
}

/* The MTU of the interface by which clients come in, if the backends have one of their own. */
static uint32_t mtu_of(const char *ifname)
{
	struct ifreq request = {0};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint32_t mtu = 0;

	if (fd < 0)
		return 0;
	(void)snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", ifname);
	if (ioctl(fd, SIOCGIFMTU, &request) == 0)
		mtu = (uint32_t)request.ifr_mtu;
	(void)close(fd);
	return mtu;
}

/* ---- Backends ------------------------------------------------------------------------------ */

static uint32_t overhead_of(const struct lb_ip *ip, unsigned forward)
{
	uint32_t outer = is_v4(ip) ? OUTER4 : OUTER6;

	if (forward == LB_FORWARD_GUE)
		return outer + UDP_LEN;
	return forward == LB_FORWARD_IPIP ? outer : 0;
}

static void look_at_backend(int fd, const struct lb_backend *row, unsigned forward,
			    struct backend_facts *facts)
{
	struct lb_ip hop;
	struct route route;

	*facts = (struct backend_facts){.overhead = overhead_of(&row->addr, forward),
					.is_dsr = forward == LB_FORWARD_DSR};
	(void)snprintf(facts->name, sizeof(facts->name), "%.*s", LB_NAME_LEN - 1, row->name);
	say_ip(&row->addr, facts->address);
	say_ip(&row->addr, facts->hop);
	if (route_ask(fd, row->addr.b, &route) != 0 || !route.usable)
		return;
	memcpy(&hop, route.hop, sizeof(hop));
	say_ip(&hop, facts->hop);
	if (!if_indextoname(route.ifindex, facts->ifname))
		return;
	facts->mtu = mtu_of(facts->ifname);
	neighbour_ask(fd, route.ifindex, route.hop, &facts->neighbour);
}

/* Clients come in at the interfaces that lead to no backend; one-armed, at the same. */
static uint32_t client_mtu(const struct dataplane *dp, const char *egress, uint32_t fallback)
{
	uint32_t mtu = 0;

	for (uint32_t i = 0; i < dp->n_attachments; i++) {
		const char *name = dp->attachments[i].spec.name;

		if (strcmp(name, egress) != 0 && mtu_of(name) > mtu)
			mtu = mtu_of(name);
	}
	return mtu ? mtu : fallback;
}

static void look_at_backends(struct dataplane *dp, const struct survey *survey, uint32_t mtu)
{
	int fd = netlink_open(NETLINK_ROUTE, 0);
	uint32_t seen = 0;

	for (uint32_t id = 1; fd >= 0 && id < LB_MAX_BACKENDS; id++) {
		const struct lb_backend *row = &dp->maps.backends[id];
		struct backend_facts facts;

		if (!(row->flags & LB_BACKEND_USED) || row->pool >= LB_MAX_POOLS ||
		    !survey->mode[row->pool])
			continue;
		if (seen++ >= BACKENDS_MOST)
			continue;
		look_at_backend(fd, row, survey->mode[row->pool] - 1U, &facts);
		judge_backend(&facts, client_mtu(dp, facts.ifname, mtu), survey->to);
	}
	if (fd >= 0)
		(void)close(fd);
	judge_left_out(BACKENDS_MOST, seen, survey->to);
}

void dataplane_doctor(struct dataplane *dp, void (*each)(void *ctx, const struct finding *finding),
		      void *ctx)
{
	const struct report_to to = {.each = each, .ctx = ctx};
	struct survey *survey = calloc(1, sizeof(*survey));
	uint32_t mtu;

	if (!survey)
		return;
	survey->to = &to;
	survey_host(dp, survey);
	judge_host(&survey->host, &to);
	mtu = look_at_interfaces(dp, survey);
	look_at_backends(dp, survey, mtu);
	free(survey);
}
