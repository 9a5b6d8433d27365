/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "dataplane/insight.h"
#include "dataplane/route.h"
#include "dataplane/state.h"

#define PENDING_MOST 64 /* as bpf/choose.h counts them */
#define SCORE_UNIT   1000

/* ---- Where it comes in --------------------------------------------------------------------- */

static const struct attachment *attachment_named(const struct dataplane *dp, const char *name)
{
	for (uint32_t i = 0; i < dp->n_attachments; i++) {
		if (strcmp(dp->attachments[i].spec.name, name) == 0)
			return &dp->attachments[i];
	}
	return NULL;
}

/* The interface that leads to the source, if we are attached to it; else any. */
static const struct attachment *attachment_towards(const struct dataplane *dp,
						   const struct lb_ip *source)
{
	int fd = netlink_open(NETLINK_ROUTE, 0);
	struct route route = {0};

	if (fd >= 0) {
		(void)route_ask(fd, source->b, &route);
		(void)close(fd);
	}
	for (uint32_t i = 0; i < dp->n_attachments; i++) {
		if (route.usable && dp->attachments[i].ifindex == route.ifindex)
			return &dp->attachments[i];
	}
	return dp->n_attachments ? &dp->attachments[0] : NULL;
}

/* NULL, and <err> says why. */
static const struct attachment *choose_attachment(const struct dataplane *dp, struct trace *trace,
						  struct error *err)
{
	const struct attachment *attachment =
		*trace->ifname ? attachment_named(dp, trace->ifname)
			       : attachment_towards(dp, &trace->packet.key.saddr);

	if (attachment) {
		(void)snprintf(trace->ifname, sizeof(trace->ifname), "%s", attachment->spec.name);
		trace->hook = attachment->hook;
	} else if (*trace->ifname) {
		(void)error_set(err, -ENOENT, "interface",
				"lbd is not attached to '%s'; 'lbadm attach %s' does it",
				trace->ifname, trace->ifname);
	} else {
		(void)error_set(err, -ENOENT, "interface",
				"lbd is attached to no interface, so no packet is balanced; "
				"'lbadm attach IFACE' mends it");
	}
	return attachment;
}

/* As if the last router had sent it to us. */
static void fill_link(struct trace *trace)
{
	static const uint8_t other[ETH_ALEN] = {0x02, 0, 0, 0, 0, 0x01};
	struct ifreq request = {0};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	memcpy(trace->packet.smac, other, ETH_ALEN);
	if (fd < 0)
		return;
	(void)snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", trace->ifname);
	if (ioctl(fd, SIOCGIFHWADDR, &request) == 0)
		memcpy(trace->packet.dmac, request.ifr_hwaddr.sa_data, ETH_ALEN);
	(void)close(fd);
}

/* ---- The run ------------------------------------------------------------------------------- */

static int run_xdp(const struct dry *dry, struct trace *trace, uint32_t ifindex,
		   const uint8_t *frame, size_t len)
{
	struct xdp_md ctx = {.data_end = (uint32_t)len, .ingress_ifindex = ifindex};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = (uint32_t)len,
		    .data_out = trace->out, .data_size_out = sizeof(trace->out), .ctx_in = &ctx,
		    .ctx_size_in = sizeof(ctx));
	int rc = bpf_prog_test_run_opts(dry->program, &opts);

	trace->out_len = opts.data_size_out;
	trace->end = opts.retval == XDP_PASS   ? TRACE_PASSED
		     : opts.retval == XDP_DROP ? TRACE_DROPPED
					       : TRACE_SENT;
	return rc ? -errno : 0;
}

static int run_tc(const struct dry *dry, struct trace *trace, uint32_t ifindex,
		  const uint8_t *frame, size_t len)
{
	struct __sk_buff ctx = {.ifindex = ifindex};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = (uint32_t)len,
		    .data_out = trace->out, .data_size_out = sizeof(trace->out), .ctx_in = &ctx,
		    .ctx_size_in = sizeof(ctx));
	int rc = bpf_prog_test_run_opts(dry->program, &opts);

	trace->out_len = opts.data_size_out;
	trace->end = (int)opts.retval == TC_ACT_SHOT	   ? TRACE_DROPPED
		     : (int)opts.retval == TC_ACT_REDIRECT ? TRACE_SENT
							   : TRACE_PASSED;
	return rc ? -errno : 0;
}

static int run(const struct dry *dry, struct trace *trace, uint32_t ifindex)
{
	static const struct lb_trace empty;
	uint8_t frame[FRAME_MADE_MAX];
	size_t len = frame_make(&trace->packet, frame);
	uint32_t zero = 0;
	int rc;

	if (bpf_map_update_elem(dry->trace, &zero, &empty, BPF_ANY) != 0)
		return -errno;
	rc = trace->hook == HOOK_TC ? run_tc(dry, trace, ifindex, frame, len)
				    : run_xdp(dry, trace, ifindex, frame, len);
	if (rc)
		return rc;
	if (bpf_map_lookup_elem(dry->trace, &zero, &trace->said) != 0)
		return -errno;
	return trace->said.done ? 0 : -EPROTO;
}

/* ---- What is known besides ----------------------------------------------------------------- */

static void look_up_service(const struct dataplane *dp, struct trace *trace)
{
	const struct lb_flow_key *packet = &trace->packet.key;
	struct lb_service_key key = {.addr = packet->daddr,
				     .port = packet->dport,
				     .zone = packet->zone,
				     .proto = packet->proto};
	int fd = dp->maps.services;

	trace->has_service = bpf_map_lookup_elem(fd, &key, &trace->service) == 0;
	if (!trace->has_service) {
		key.port = 0;
		trace->has_service = bpf_map_lookup_elem(fd, &key, &trace->service) == 0;
	}
	if (trace->has_service && trace->service.pool < LB_MAX_POOLS)
		trace->pool = dp->maps.pools[trace->service.pool];
}

static void read_end(struct trace *trace)
{
	static const uint8_t answers[LB_VERDICT_COUNT] = {
		[LB_V_NO_BACKEND] = 1,	   [LB_V_NO_FLOW] = 1, [LB_V_FLOW_KILLED] = 1,
		[LB_V_TABLE_FULL] = 1,	   [LB_V_TOO_BIG] = 1, [LB_V_ECHO] = 1,
		[LB_V_SNAT_EXHAUSTED] = 1,
	};

	if (trace->end == TRACE_SENT && trace->said.verdict < LB_VERDICT_COUNT &&
	    answers[trace->said.verdict])
		trace->end = TRACE_ANSWERED;
	if (!trace->said.hop.ifindex || !if_indextoname(trace->said.hop.ifindex, trace->egress))
		trace->egress[0] = '\0';
}

int dataplane_trace(struct dataplane *dp, struct trace *trace, struct error *err)
{
	const struct attachment *attachment = choose_attachment(dp, trace, err);
	struct dry *dry;
	int rc;

	if (!attachment)
		return -ENOENT;
	dry = &dp->dry[trace->hook == HOOK_TC];
	fill_link(trace);
	look_up_service(dp, trace);
	rc = dry_load(dry, &dp->maps, trace->hook == HOOK_TC, err);
	if (rc)
		return rc;
	rc = run(dry, trace, attachment->ifindex);
	if (rc)
		return error_set(err, rc, "", "the kernel does not run the trace: %s",
				 strerror(-rc));
	read_end(trace);
	return 0;
}

/* ---- Candidates ---------------------------------------------------------------------------- */

static uint64_t difference(const __u64 *more, const __u64 *less)
{
	/* Read at two moments: never below zero. */
	uint64_t before = __atomic_load_n(less, __ATOMIC_RELAXED);
	uint64_t after = __atomic_load_n(more, __ATOMIC_RELAXED);

	return after > before ? after - before : 0;
}

static void weigh(const struct dataplane *dp, uint32_t choice, struct trace_candidate *candidate)
{
	const struct lb_live *live = &dp->maps.live[candidate->id];
	uint32_t weight = candidate->backend.weight ? candidate->backend.weight : 1;
	uint64_t pending = difference(&live->pending_in, &live->pending_out);

	candidate->open = difference(&live->opened, &live->closed) +
			  difference(&live->proxy_opened, &live->proxy_closed);
	candidate->pending = pending < PENDING_MOST ? pending : PENDING_MOST;
	candidate->latency_us = __atomic_load_n(&live->syn_us, __ATOMIC_RELAXED);
	if (choice == LB_CHOICE_LATENCY)
		candidate->score = candidate->latency_us * SCORE_UNIT / weight;
	else if (choice == LB_CHOICE_LEAST || choice == LB_CHOICE_TWO)
		candidate->score = (candidate->open + candidate->pending) * SCORE_UNIT / weight;
}

void dataplane_candidates(struct dataplane *dp, const struct trace *trace,
			  void (*each)(void *ctx, const struct trace_candidate *candidate),
			  void *ctx)
{
	const uint16_t *ids = (const uint16_t *)dp->maps.lines + LB_TABLE_OFFSET(trace->pool.table);
	uint32_t size = LB_TABLE_SIZE(trace->pool.table);
	uint32_t *slots = calloc(LB_MAX_BACKENDS, sizeof(*slots));

	if (LB_TABLE_OFFSET(trace->pool.table) + (uint64_t)size > LB_MAX_SLOTS)
		size = 0;
	for (uint32_t i = 0; slots && i < size; i++)
		slots[ids[i]]++;
	/* Those without a slot too: weight 0, or not eligible when the table was made. */
	for (uint32_t id = 1; slots && trace->has_service && id < LB_MAX_BACKENDS; id++) {
		struct trace_candidate candidate = {.id = (uint16_t)id, .slots = slots[id]};

		candidate.backend = dp->maps.backends[id];
		if (!(candidate.backend.flags & LB_BACKEND_USED) ||
		    candidate.backend.pool != trace->service.pool)
			continue;
		weigh(dp, trace->pool.choice, &candidate);
		each(ctx, &candidate);
	}
	free(slots);
}
