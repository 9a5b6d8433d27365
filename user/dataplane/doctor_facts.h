/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What doctor looks at, and what it makes of it.
 *
 * For: doctor.c and its tests. Owns: nothing. May know: base, include/lb, hook.
 * Asking is in doctor_ask.c and doctor_peer.c, judging in doctor_judge.c, which is pure.
 */
#ifndef DATAPLANE_DOCTOR_FACTS_H
#define DATAPLANE_DOCTOR_FACTS_H

#include "dataplane/doctor.h"
#include "dataplane/hook.h"
#include "dataplane/neighbour.h"

/* As "ethtool -k" shows them. */
struct offloads {
	bool tx_checksum;
	bool gro;
	bool lro;
	bool tso;
	bool rx_vlan;
};

/* The other end of a veth. */
struct peer_facts {
	bool known;
	bool has_xdp;
	char ifname[16];
	char netns[64]; /* name below /run/netns; "": ours */
	struct offloads offloads;
};

struct interface_facts {
	char name[16];
	enum hook hook;
	struct hook_facts driver;
	struct offloads offloads;
	struct peer_facts peer; /* of veth */
	uint32_t mtu;
	uint32_t queues; /* combined channels now, and at most; 0: unknown */
	uint32_t queues_most;
	int rp_filter;
	int accept_local;
	int forwarding4; /* -1: unknown */
	int forwarding6;
};

/* True of the whole host, or of all services together. */
struct host_facts {
	uint32_t cpus;
	bool has_v4; /* services of this family */
	bool has_v6;
	bool has_two_way; /* nat or snat */
	bool has_local_vip;
	int rp_filter_all;
	int accept_local_all;
	uint32_t port_first; /* ip_local_port_range */
	uint32_t port_last;
	uint32_t snat_first; /* of local snat addresses; last 0: none */
	uint32_t snat_last;
};

/* The way to a backend. */
struct backend_facts {
	char name[LB_NAME_LEN];
	char address[ADDR_TEXT_LEN];
	char hop[ADDR_TEXT_LEN]; /* next hop: a gateway, or itself */
	char ifname[16];	 /* "": no route */
	struct neighbour_seen neighbour;
	uint32_t mtu;	   /* of the interface */
	uint32_t overhead; /* of its tunnel */
	bool is_dsr;
};

struct report_to {
	void (*each)(void *ctx, const struct finding *finding);
	void *ctx;
};

void judge_host(const struct host_facts *host, const struct report_to *to);
void judge_interface(const struct interface_facts *iface, const struct host_facts *host,
		     const struct report_to *to);
/* <ingress_mtu>: the largest of the interfaces that clients come in at. */
void judge_backend(const struct backend_facts *backend, uint32_t ingress_mtu,
		   const struct report_to *to);
/* That so many backends were not looked at. */
void judge_left_out(uint32_t most, uint32_t all, const struct report_to *to);
void judge_vip(const char *service, const char *vip, const struct report_to *to); /* a local one */

/* doctor_ask.c: what the kernel says; what it does not say is zero. */
void offloads_ask(const char *ifname, struct offloads *ret_offloads);
void interface_ask(struct interface_facts *iface, uint32_t ifindex);
int sysctl_ask(const char *path, const char *ifname); /* -1: unknown; path with one %s */
void ports_ask(uint32_t *ret_first, uint32_t *ret_last);
bool is_local_address(const struct lb_ip *ip);
/* doctor_peer.c */
void peer_ask(uint32_t ifindex, struct peer_facts *ret_peer);

#endif
