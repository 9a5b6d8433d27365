/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the core does to a packet, said for XDP.
 *
 * Owns: lb_devs, the interfaces XDP may redirect to. Checksums are whole in the frame and are
 * updated by incremental arithmetic.
 * May know: maps.h, checksum.h.
 */
#ifndef LB_CTX_XDP_H
#define LB_CTX_XDP_H

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#include "checksum.h"
#include "maps.h"

#define ctx_kind    xdp_md
#define CTX_NOTHING XDP_PASS /* not ours */
#define CTX_STACK   XDP_PASS /* ours, and now the stack's */
#define CTX_DROP    XDP_DROP

struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP_HASH);
	__uint(max_entries, 256);
	__type(key, __u32);
	__type(value, __u32);
} lb_devs SEC(".maps");

static __always_inline __u32 ctx_len(struct xdp_md *xdp)
{
	return CTX_POINTER(xdp, data_end) - CTX_POINTER(xdp, data);
}

static __always_inline __u32 ctx_ifindex(struct xdp_md *xdp)
{
	return xdp->ingress_ifindex;
}

/* Payload bytes per segment of a packet that will be segmented later. */
static __always_inline __u32 ctx_segment(struct xdp_md *xdp)
{
	(void)xdp;
	return 0;
}

/* NULL: the frame does not reach so far. */
static __always_inline void *ctx_at(struct xdp_md *xdp, __u32 offset, __u32 len)
{
	void *at = CTX_POINTER(xdp, data) + (offset & CTX_OFFSETS);

	return at + len > CTX_POINTER(xdp, data_end) ? NULL : at;
}

/* Nothing keeps a sum of the whole frame here. */
static __always_inline void ctx_fix_sum(struct xdp_md *xdp, __u32 delta)
{
	(void)xdp;
	(void)delta;
}

/* Updates the TCP or UDP checksum of the header at <offset>; addresses and ports are the caller's.
 */
static __always_inline void ctx_fix_l4(struct xdp_md *xdp, __u32 offset, __u8 proto,
				       const struct checksum_change *change)
{
	bool udp = proto == IPPROTO_UDP;
	__u16 *check = ctx_at(
		xdp,
		offset + (udp ? offsetof(struct udphdr, check) : offsetof(struct tcphdr, check)),
		sizeof(*check));
	__u16 fixed;

	if (!check || (udp && !*check)) /* no checksum: RFC 768 */
		return;
	fixed = checksum_update(*check, change->pseudo + change->ports);
	*check = udp && !fixed ? 0xffff : fixed;
}

/* Makes room for <len> bytes at the front. */
static __always_inline int ctx_push(struct xdp_md *xdp, __u32 len, bool outer_v4, bool udp)
{
	(void)outer_v4;
	(void)udp;
	return bpf_xdp_adjust_head(xdp, -(int)len);
}

/* Leaves <hop>'s addresses in the frame and returns the action; CTX_STACK: nothing was changed. */
static __always_inline int ctx_send(struct xdp_md *xdp, const struct lb_hop *hop)
{
	struct ethhdr *eth = ctx_at(xdp, 0, sizeof(*eth));
	int action = XDP_TX;

	if (!eth)
		return CTX_STACK;
	if (hop->ifindex != xdp->ingress_ifindex)
		action = bpf_redirect_map(&lb_devs, hop->ifindex, XDP_PASS);
	if (action != XDP_PASS)
		__builtin_memcpy(eth, hop, 2 * ETH_ALEN);
	return action;
}

/* Cuts or extends the frame to <len>. */
static __always_inline int ctx_resize(struct xdp_md *xdp, __u32 len)
{
	return bpf_xdp_adjust_tail(xdp, (int)len - (int)ctx_len(xdp));
}

/* Whether the sender's device still has to finish the L4 checksum at <check>. */
static __always_inline bool ctx_partial(struct xdp_md *xdp, __u32 check)
{
	(void)xdp;
	(void)check;
	return false;
}

static __always_inline int ctx_load(struct xdp_md *xdp, __u32 offset, void *to, __u32 len)
{
	return bpf_xdp_load_bytes(xdp, offset, to, len);
}

static __always_inline int ctx_store(struct xdp_md *xdp, __u32 offset, void *from, __u32 len)
{
	return bpf_xdp_store_bytes(xdp, offset, from, len);
}

static __always_inline void ctx_write(struct xdp_md *xdp, __u32 offset, const void *from,
				      const __u32 len)
{
	void *to = ctx_at(xdp, offset, len);

	if (to)
		__builtin_memcpy(to, from, len);
}

static __always_inline void ctx_write_link(struct xdp_md *xdp, __u32 offset, const void *from,
					   const __u32 len)
{
	ctx_write(xdp, offset, from, len);
}

/* Sends the frame out where it came in. */
static __always_inline int ctx_bounce(struct xdp_md *xdp)
{
	(void)xdp;
	return XDP_TX;
}

#endif
