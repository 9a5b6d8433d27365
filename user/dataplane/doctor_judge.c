/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <linux/neighbour.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "dataplane/doctor_facts.h"

/* Bits of NUD_* in which a frame can be sent at once; STALE is one of them, but see below. */
#define NUD_GOOD (NUD_PERMANENT | NUD_NOARP | NUD_REACHABLE | NUD_PROBE | NUD_DELAY)

/* What is known before it is said. */
struct diagnosis {
	enum finding_level level;
	const char *code;
	const char *why;
};

static struct finding finding_of(const struct diagnosis *diagnosis, const char *object,
				 const char *what)
{
	struct finding finding = {
		.level = diagnosis->level, .code = diagnosis->code, .why = diagnosis->why};

	(void)snprintf(finding.object, sizeof(finding.object), "%s", object);
	(void)snprintf(finding.what, sizeof(finding.what), "%s", what);
	return finding;
}

static void __attribute__((format(printf, 3, 4)))
tell(const struct report_to *to, struct finding finding, const char *fix, ...)
{
	va_list args;

	va_start(args, fix);
	(void)vsnprintf(finding.fix, sizeof(finding.fix), fix, args);
	va_end(args);
	to->each(to->ctx, &finding);
}

/* ---- Host ---------------------------------------------------------------------------------- */

static const struct diagnosis snat_ports = {
	FINDING_PROBLEM, "snat_ports",
	"this host's own connections from a snat address may get a port that a client's flow has: "
	"their replies go to the client"};

static const struct diagnosis rp_filter = {
	FINDING_PROBLEM, "rp_filter",
	"a rewritten packet that the stack has to forward, because its next hop is not resolved, "
	"is dropped: its source is not routed where it came from"};

static void judge_ports(const struct host_facts *host, const struct report_to *to)
{
	struct finding finding;
	char what[128];

	if (!host->snat_last || host->snat_first > host->port_last ||
	    host->snat_last < host->port_first)
		return;
	(void)snprintf(what, sizeof(what), "snat uses ports %u-%u, ip_local_port_range is %u-%u",
		       host->snat_first, host->snat_last, host->port_first, host->port_last);
	finding = finding_of(&snat_ports, "host", what);
	if (host->port_last > host->snat_last)
		tell(to, finding, "sysctl -w net.ipv4.ip_local_port_range='%u %u'",
		     host->snat_last + 1, host->port_last);
	else
		tell(to, finding, "sysctl -w net.ipv4.ip_local_port_range='%u %u'",
		     host->snat_last + 1, 60999);
}

void judge_host(const struct host_facts *host, const struct report_to *to)
{
	judge_ports(host, to);
	if (host->has_v4 && host->rp_filter_all == 1)
		tell(to, finding_of(&rp_filter, "host", "net.ipv4.conf.all.rp_filter is 1"),
		     "sysctl -w net.ipv4.conf.all.rp_filter=0");
}

/* ---- Interfaces ---------------------------------------------------------------------------- */

static const struct diagnosis no_transmit = {
	FINDING_PROBLEM, "xdp_transmit",
	"the driver cannot send the frames that native XDP rewrites: they are lost"};

static const struct diagnosis generic_gro = {
	FINDING_PROBLEM, "generic_gro",
	"GRO merges packets in front of generic XDP, which cannot take them as one: they are "
	"copied, or too large to go on"};

static const struct diagnosis lro = {
	FINDING_PROBLEM, "lro",
	"LRO merges packets for good: they are too large to be forwarded, and cannot be cut again"};

static const struct diagnosis vlan_offload = {
	FINDING_NOTE, "vlan_offload",
	"the device takes VLAN tags out of frames, where XDP does not see them: packets of VLANs "
	"are taken for untagged ones"};

static const struct diagnosis partial_checksum = {
	FINDING_PROBLEM, "checksum_offload",
	"the other end leaves checksums to be finished by a device, and XDP sends frames on "
	"without: receivers drop them"};

static const struct diagnosis no_napi = {
	FINDING_PROBLEM, "peer_napi",
	"a veth takes frames that XDP sends only if its other end polls (NAPI), which GRO or an "
	"XDP program there turns on: they are lost"};

/* veth_xdp_flush, drivers/net/veth.c */
static const struct diagnosis peer_tx = {
	FINDING_NOTE, "peer_tx",
	"what XDP sends back where it came from (to backends behind the clients' interface, and "
	"answers of its own) waits in a veth until more follows, unless its other end has an XDP "
	"program too"};

static const struct diagnosis peer_unknown = {
	FINDING_NOTE, "peer_unknown",
	"native XDP on a veth needs 'tx off' and 'gro on' at its other end, which lies in a "
	"namespace that has no name below /run/netns"};

static const struct diagnosis generic_gso = {
	FINDING_PROBLEM, "generic_gso",
	"the other end sends packets larger than the MTU, which generic XDP cannot forward"};

static const struct diagnosis queues = {
	FINDING_NOTE, "queues",
	"packets of this interface are handled by fewer CPUs than there are"};

static const struct diagnosis forwarding = {
	FINDING_PROBLEM, "ip_forward",
	"no next hop is told to a program of an interface that does not forward, and the stack "
	"drops what is handed to it"};

static const struct diagnosis accept_local = {
	FINDING_PROBLEM, "accept_local",
	"a service's address is this host's own: a reply that the stack has to forward comes, for "
	"it, from its own address, and is dropped as a martian"};

static void in_namespace(const struct peer_facts *peer, char text[static 96])
{
	text[0] = '\0';
	if (*peer->netns)
		(void)snprintf(text, 96, "ip netns exec %s ", peer->netns);
}

/* The kernel tells whether it polls, but not what else it does. */
static void judge_unknown_peer(const struct interface_facts *iface, const struct report_to *to)
{
	if (iface->hook == HOOK_NATIVE && iface->driver.transmits == HOOK_TRANSMITS_NO)
		tell(to, finding_of(&no_napi, iface->name, "the other end does not poll"),
		     "lbadm attach %s --hook tc", iface->name);
	tell(to, finding_of(&peer_unknown, iface->name, "the other end cannot be seen"), "%s", "");
}

static bool is_veth(const struct interface_facts *iface)
{
	return strcmp(iface->driver.driver, "veth") == 0;
}

static void judge_peer(const struct interface_facts *iface, const struct report_to *to)
{
	const struct peer_facts *peer = &iface->peer;
	char prefix[96];

	if (!is_veth(iface) || iface->hook == HOOK_TC)
		return;
	if (!peer->known) {
		judge_unknown_peer(iface, to);
		return;
	}
	in_namespace(peer, prefix);
	if (peer->offloads.tx_checksum)
		tell(to,
		     finding_of(&partial_checksum, iface->name,
				"tx-checksumming is on at the other end"),
		     "%sethtool -K %s tx off", prefix, peer->ifname);
	if (iface->hook == HOOK_NATIVE && !peer->offloads.gro && !peer->has_xdp)
		tell(to, finding_of(&no_napi, iface->name, "GRO is off at the other end"),
		     "%sethtool -K %s gro on", prefix, peer->ifname);
	else if (iface->hook == HOOK_NATIVE && !peer->has_xdp)
		tell(to, finding_of(&peer_tx, iface->name, "the other end has no XDP program"),
		     "lbadm attach %s --hook tc", iface->name);
	if (iface->hook == HOOK_GENERIC && peer->offloads.tso)
		tell(to, finding_of(&generic_gso, iface->name, "TSO is on at the other end"),
		     "%sethtool -K %s tso off", prefix, peer->ifname);
}

static void judge_device(const struct interface_facts *iface, const struct host_facts *host,
			 const struct report_to *to)
{
	char what[128];

	if (iface->hook == HOOK_NATIVE && iface->driver.transmits == HOOK_TRANSMITS_NO &&
	    !is_veth(iface))
		tell(to, finding_of(&no_transmit, iface->name, "hook native, no ndo_xdp_xmit"),
		     "lbadm attach %s --hook tc", iface->name);
	if (iface->hook == HOOK_GENERIC && iface->offloads.gro)
		tell(to, finding_of(&generic_gro, iface->name, "hook generic, GRO is on"),
		     "ethtool -K %s gro off", iface->name);
	if (iface->offloads.lro)
		tell(to, finding_of(&lro, iface->name, "LRO is on"), "ethtool -K %s lro off",
		     iface->name);
	if (iface->hook == HOOK_NATIVE && iface->offloads.rx_vlan)
		tell(to, finding_of(&vlan_offload, iface->name, "rx-vlan-offload is on"),
		     "ethtool -K %s rxvlan off", iface->name);
	if (iface->queues && iface->queues < iface->queues_most && iface->queues < host->cpus) {
		(void)snprintf(what, sizeof(what), "%u of %u queues, %u CPUs", iface->queues,
			       iface->queues_most, host->cpus);
		tell(to, finding_of(&queues, iface->name, what), "ethtool -L %s %s %u", iface->name,
		     is_veth(iface) ? "rx" : "combined",
		     iface->queues_most < host->cpus ? iface->queues_most : host->cpus);
	}
}

static void judge_stack(const struct interface_facts *iface, const struct host_facts *host,
			const struct report_to *to)
{
	if (host->has_v4 && iface->forwarding4 == 0)
		tell(to, finding_of(&forwarding, iface->name, "IPv4 forwarding is off"),
		     "sysctl -w net.ipv4.conf.%s.forwarding=1", iface->name);
	if (host->has_v6 && iface->forwarding6 == 0)
		tell(to, finding_of(&forwarding, iface->name, "IPv6 forwarding is off"),
		     "sysctl -w net.ipv6.conf.%s.forwarding=1", iface->name);
	if (host->has_v4 && iface->rp_filter == 1)
		tell(to, finding_of(&rp_filter, iface->name, "rp_filter is 1"),
		     "sysctl -w net.ipv4.conf.%s.rp_filter=0", iface->name);
	if (host->has_local_vip && host->has_two_way && iface->accept_local == 0 &&
	    host->accept_local_all == 0)
		tell(to, finding_of(&accept_local, iface->name, "accept_local is 0"),
		     "sysctl -w net.ipv4.conf.%s.accept_local=1", iface->name);
}

void judge_interface(const struct interface_facts *iface, const struct host_facts *host,
		     const struct report_to *to)
{
	judge_device(iface, host, to);
	judge_peer(iface, to);
	judge_stack(iface, host, to);
}

/* ---- Backends and services ----------------------------------------------------------------- */

static const struct diagnosis no_route = {
	FINDING_PROBLEM, "route", "there is no way to the backend: its packets are dropped"};

static const struct diagnosis neighbour = {
	FINDING_PROBLEM, "neighbour",
	"the next hop's link address is not known: packets go the slow way through the stack, and "
	"those of dsr are dropped"};

static const struct diagnosis stale = {
	FINDING_PROBLEM, "neighbour_stale",
	"nobody asks again whether the next hop still has this link address: when it moves, "
	"packets are lost until something else asks"};

static const struct diagnosis headroom = {
	FINDING_PROBLEM, "mtu",
	"packets of full size do not fit into the tunnel: each sender has to be told by ICMP, and "
	"those that do not get it hang"};

static const struct diagnosis left_out = {
	FINDING_NOTE, "left_out",
	"to look at each of them would hold up lbd: what is wrong with the way to one of these is "
	"not said here"};

static const struct diagnosis local_vip = {
	FINDING_NOTE, "local_vip",
	"clients on this host itself are not balanced: XDP and TC see only what comes in"};

static void judge_neighbour(const struct backend_facts *backend, const struct report_to *to)
{
	uint16_t state = backend->neighbour.state;
	const char *what = state & NUD_FAILED ? "does not answer"
			   : state	      ? "was asked and has not answered"
					      : "nobody asked for it";
	char object[96];

	/* A managed one is asked again by the kernel, and is stale for seconds in between. */
	if (state & NUD_GOOD || (state & NUD_STALE && backend->neighbour.managed))
		return;
	(void)snprintf(object, sizeof(object), "%.24s (%.60s)", backend->name, backend->hop);
	if (state & NUD_STALE)
		tell(to, finding_of(&stale, object, "the neighbour entry is stale"),
		     "ip neigh replace %s dev %s use managed", backend->hop, backend->ifname);
	else
		tell(to, finding_of(&neighbour, object, what),
		     "ip neigh replace %s dev %s use managed", backend->hop, backend->ifname);
}

void judge_backend(const struct backend_facts *backend, uint32_t ingress_mtu,
		   const struct report_to *to)
{
	uint32_t wanted = ingress_mtu + backend->overhead;
	char what[128];

	if (!*backend->ifname) {
		tell(to, finding_of(&no_route, backend->address, "no route"), "ip route get %s",
		     backend->hop);
		return;
	}
	judge_neighbour(backend, to);
	if (!backend->overhead || backend->mtu >= wanted)
		return;
	(void)snprintf(what, sizeof(what), "mtu %u, clients send up to %u, the tunnel adds %u",
		       backend->mtu, ingress_mtu, backend->overhead);
	tell(to, finding_of(&headroom, backend->ifname, what), "ip link set dev %s mtu %u",
	     backend->ifname, wanted);
}

void judge_left_out(uint32_t most, uint32_t all, const struct report_to *to)
{
	char what[128];

	if (all <= most)
		return;
	(void)snprintf(what, sizeof(what), "%u of %u were not looked at", all - most, all);
	tell(to, finding_of(&left_out, "backends", what), "%s", "");
}

void judge_vip(const char *service, const char *vip, const struct report_to *to)
{
	char what[128];

	(void)snprintf(what, sizeof(what), "%s is an address of this host", vip);
	tell(to, finding_of(&local_vip, service, what), "%s", "");
}
