/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <linux/neighbour.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/doctor_facts.h"

/* "code level fix\n" of each finding. */
static char said[2048];

static void take(void *ctx, const struct finding *finding)
{
	size_t used = strlen(said);

	(void)ctx;
	assert_true(*finding->object && *finding->what && *finding->why);
	(void)snprintf(said + used, sizeof(said) - used, "%s %s: %s\n",
		       finding->level == FINDING_PROBLEM ? "problem" : "note", finding->code,
		       finding->fix);
}

static const struct report_to to = {.each = take};

static const struct interface_facts good_interface = {
	.name = "eth0",
	.hook = HOOK_NATIVE,
	.driver = {.driver = "ixgbe", .transmits = HOOK_TRANSMITS_YES},
	.mtu = 1500,
	.queues = 4,
	.queues_most = 8,
	.forwarding4 = 1,
	.forwarding6 = 1,
};

static const struct host_facts good_host = {
	.cpus = 4,
	.has_v4 = true,
	.has_v6 = true,
	.has_two_way = true,
	.port_first = 32768,
	.port_last = 60999,
	.snat_first = 1024,
	.snat_last = 32767,
};

#define CHANGE(name) static void name(struct interface_facts *iface, struct host_facts *host)
#define UNUSED	     (void)iface, (void)host

CHANGE(nothing)
{
	UNUSED;
}
CHANGE(cannot_transmit)
{
	UNUSED;
	iface->driver.transmits = HOOK_TRANSMITS_NO;
}
CHANGE(generic)
{
	UNUSED;
	iface->hook = HOOK_GENERIC;
	iface->offloads.gro = true;
}
CHANGE(gro_at_tc)
{
	UNUSED;
	iface->hook = HOOK_TC;
	iface->offloads.gro = true;
}
CHANGE(has_lro)
{
	UNUSED;
	iface->offloads.lro = true;
}
CHANGE(takes_tags)
{
	UNUSED;
	iface->offloads.rx_vlan = true;
}
CHANGE(one_queue)
{
	UNUSED;
	iface->queues = 1;
}
CHANGE(no_forwarding4)
{
	UNUSED;
	iface->forwarding4 = 0;
}
CHANGE(no_forwarding6)
{
	UNUSED;
	iface->forwarding6 = 0;
}
CHANGE(no_forwarding6_needed)
{
	UNUSED;
	iface->forwarding6 = 0;
	host->has_v6 = false;
}
CHANGE(strict)
{
	UNUSED;
	iface->rp_filter = 1;
}
CHANGE(loose)
{
	UNUSED;
	iface->rp_filter = 2;
}
CHANGE(local)
{
	UNUSED;
	host->has_local_vip = true;
}
CHANGE(local_accepted)
{
	UNUSED;
	host->has_local_vip = true;
	host->accept_local_all = 1;
}
CHANGE(local_dsr)
{
	UNUSED;
	host->has_local_vip = true;
	host->has_two_way = false;
}

static void be_veth(struct interface_facts *iface)
{
	(void)snprintf(iface->driver.driver, sizeof(iface->driver.driver), "veth");
	iface->peer = (struct peer_facts){.known = true, .ifname = "eth9", .netns = "box"};
	iface->peer.offloads.gro = true;
}

CHANGE(veth)
{
	UNUSED;
	be_veth(iface);
}
CHANGE(veth_partial)
{
	UNUSED;
	be_veth(iface);
	iface->peer.offloads.tx_checksum = true;
}
CHANGE(veth_deaf)
{
	UNUSED;
	be_veth(iface);
	iface->peer.offloads.gro = false;
}
CHANGE(veth_ours)
{
	UNUSED;
	be_veth(iface);
	iface->peer.netns[0] = '\0';
	iface->peer.offloads.gro = false;
}
CHANGE(veth_xdp)
{
	UNUSED;
	veth_deaf(iface, host);
	iface->peer.has_xdp = true;
}
CHANGE(veth_hidden)
{
	UNUSED;
	be_veth(iface);
	iface->peer.known = false;
}
CHANGE(veth_hidden_deaf)
{
	UNUSED;
	veth_hidden(iface, host);
	iface->driver.transmits = HOOK_TRANSMITS_NO;
}
CHANGE(veth_tc)
{
	UNUSED;
	veth_partial(iface, host);
	iface->hook = HOOK_TC;
}
CHANGE(veth_gso)
{
	UNUSED;
	be_veth(iface);
	iface->hook = HOOK_GENERIC;
	iface->peer.offloads.tso = true;
}

static void each_thing_that_is_wrong_with_an_interface_has_its_command(void **state)
{
	static const struct {
		void (*change)(struct interface_facts *iface, struct host_facts *host);
		const char *says;
	} rows[] = {
		{nothing, ""},
		{cannot_transmit, "problem xdp_transmit: lbadm attach eth0 --hook tc\n"},
		{generic, "problem generic_gro: ethtool -K eth0 gro off\n"},
		{gro_at_tc, ""},
		{has_lro, "problem lro: ethtool -K eth0 lro off\n"},
		{takes_tags, "note vlan_offload: ethtool -K eth0 rxvlan off\n"},
		{one_queue, "note queues: ethtool -L eth0 combined 4\n"},
		{no_forwarding4, "problem ip_forward: sysctl -w net.ipv4.conf.eth0.forwarding=1\n"},
		{no_forwarding6, "problem ip_forward: sysctl -w net.ipv6.conf.eth0.forwarding=1\n"},
		{no_forwarding6_needed, ""},
		{strict, "problem rp_filter: sysctl -w net.ipv4.conf.eth0.rp_filter=0\n"},
		{loose, ""},
		{local, "problem accept_local: sysctl -w net.ipv4.conf.eth0.accept_local=1\n"},
		{local_accepted, ""},
		{local_dsr, ""},
		{veth, "note peer_tx: lbadm attach eth0 --hook tc\n"},
		{veth_partial,
		 "problem checksum_offload: ip netns exec box ethtool -K eth9 tx off\n"
		 "note peer_tx: lbadm attach eth0 --hook tc\n"},
		{veth_deaf, "problem peer_napi: ip netns exec box ethtool -K eth9 gro on\n"},
		{veth_ours, "problem peer_napi: ethtool -K eth9 gro on\n"},
		{veth_xdp, ""},
		{veth_hidden, "note peer_unknown: \n"},
		{veth_hidden_deaf,
		 "problem peer_napi: lbadm attach eth0 --hook tc\nnote peer_unknown: \n"},
		{veth_tc, ""},
		{veth_gso, "problem generic_gso: ip netns exec box ethtool -K eth9 tso off\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct interface_facts iface = good_interface;
		struct host_facts host = good_host;

		said[0] = '\0';
		rows[i].change(&iface, &host);
		judge_interface(&iface, &host, &to);
		assert_string_equal(said, rows[i].says);
	}
}

static void port_ranges_that_overlap_are_parted(void **state)
{
	static const struct {
		uint32_t first, last;
		const char *says;
	} rows[] = {
		{32768, 60999, ""},
		{10000, 65000,
		 "problem snat_ports: sysctl -w net.ipv4.ip_local_port_range='32768 65000'\n"},
		{10000, 20000,
		 "problem snat_ports: sysctl -w net.ipv4.ip_local_port_range='32768 60999'\n"},
		{32767, 60999,
		 "problem snat_ports: sysctl -w net.ipv4.ip_local_port_range='32768 60999'\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct host_facts host = good_host;

		said[0] = '\0';
		host.port_first = rows[i].first;
		host.port_last = rows[i].last;
		judge_host(&host, &to);
		assert_string_equal(said, rows[i].says);
		host.snat_last = 0; /* no address of ours is used for snat */
		said[0] = '\0';
		judge_host(&host, &to);
		assert_string_equal(said, "");
	}
}

static void the_way_to_a_backend_is_resolved_and_wide_enough(void **state)
{
	static const struct {
		const char *ifname;
		uint16_t neighbour;
		bool managed;
		uint32_t mtu, overhead;
		const char *says;
	} rows[] = {
		{"eth1", NUD_REACHABLE, false, 1500, 0, ""},
		{"eth1", NUD_PERMANENT, false, 1500, 0, ""},
		{"eth1", NUD_STALE, false, 1500, 0,
		 "problem neighbour_stale: ip neigh replace 10.0.9.1 dev eth1 use managed\n"},
		{"eth1", NUD_STALE, true, 1500, 0, ""},
		{"eth1", NUD_FAILED, true, 1500, 0,
		 "problem neighbour: ip neigh replace 10.0.9.1 dev eth1 use managed\n"},
		{"eth1", NUD_FAILED, false, 1500, 0,
		 "problem neighbour: ip neigh replace 10.0.9.1 dev eth1 use managed\n"},
		{"eth1", 0, false, 1500, 0,
		 "problem neighbour: ip neigh replace 10.0.9.1 dev eth1 use managed\n"},
		{"", 0, false, 0, 0, "problem route: ip route get 10.0.9.1\n"},
		{"eth1", NUD_REACHABLE, false, 1500, 28,
		 "problem mtu: ip link set dev eth1 mtu 1528\n"},
		{"eth1", NUD_REACHABLE, false, 1528, 28, ""},
		{"eth1", NUD_REACHABLE, false, 1400, 0, ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct backend_facts backend = {.name = "b1",
						.address = "10.0.1.11",
						.hop = "10.0.9.1",
						.neighbour = {rows[i].neighbour, rows[i].managed},
						.mtu = rows[i].mtu,
						.overhead = rows[i].overhead};

		said[0] = '\0';
		(void)snprintf(backend.ifname, sizeof(backend.ifname), "%s", rows[i].ifname);
		judge_backend(&backend, 1500, &to);
		assert_string_equal(said, rows[i].says);
	}
}

static void backends_that_were_not_looked_at_are_counted(void **unused)
{
	static const struct {
		uint32_t all;
		const char *says;
	} rows[] = {{0, ""}, {1024, ""}, {1025, "note left_out: \n"}};

	(void)unused;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		said[0] = '\0';
		judge_left_out(1024, rows[i].all, &to);
		assert_string_equal(said, rows[i].says);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_thing_that_is_wrong_with_an_interface_has_its_command),
		cmocka_unit_test(port_ranges_that_overlap_are_parted),
		cmocka_unit_test(the_way_to_a_backend_is_resolved_and_wide_enough),
		cmocka_unit_test(backends_that_were_not_looked_at_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
