/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the core does to a packet, said for TC.
 *
 * Owns: nothing. An skb's TCP checksum may be whole, or partial (the pseudo header only, finished
 * by the sender's device): it is changed by bpf_l4_csum_replace alone, which keeps either kind
 * right, and a GSO packet stays one. The IPv4 header checksum is never partial. May know: maps.h,
 * checksum.h.
 */
#ifndef LB_CTX_TC_H
#define LB_CTX_TC_H

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#include "checksum.h"
#include "maps.h"

#define ctx_kind    __sk_buff
#define CTX_NOTHING TC_ACT_UNSPEC /* not ours: other programs may look at it */
#define CTX_STACK   TC_ACT_OK
#define CTX_DROP    TC_ACT_SHOT

static __always_inline __u32 ctx_len(struct __sk_buff *skb)
{
	return skb->len;
}

static __always_inline __u32 ctx_ifindex(struct __sk_buff *skb)
{
	return skb->ifindex;
}

/* Payload bytes per segment of a packet that will be segmented later. */
static __always_inline __u32 ctx_segment(struct __sk_buff *skb)
{
	return skb->gso_size;
}

/* NULL: the frame does not reach so far. Earlier pointers into the frame become invalid. */
static __always_inline void *ctx_at(struct __sk_buff *skb, __u32 offset, __u32 len)
{
	void *at = CTX_POINTER(skb, data) + (offset & CTX_OFFSETS);

	if (at + len <= CTX_POINTER(skb, data_end))
		return at;
	if (bpf_skb_pull_data(skb, offset + len))
		return NULL;
	at = CTX_POINTER(skb, data) + (offset & CTX_OFFSETS);
	return at + len > CTX_POINTER(skb, data_end) ? NULL : at;
}

/*
 * The frame's bytes gained <delta>, and none of its own checksums makes up for that: a device that
 * summed the whole frame did so before (CHECKSUM_COMPLETE).
 */
static __always_inline void ctx_fix_sum(struct __sk_buff *skb, __u32 delta)
{
	bpf_csum_update(skb, delta);
}

/* Updates the TCP or UDP checksum of the header at <offset>; addresses and ports are the caller's.
 */
static __always_inline void ctx_fix_l4(struct __sk_buff *skb, __u32 offset, __u8 proto,
				       const struct checksum_change *change)
{
	__u64 flags = 0;

	if (proto == IPPROTO_UDP) {
		const __u16 *check;

		flags = BPF_F_MARK_MANGLED_0;
		offset += offsetof(struct udphdr, check);
		check = ctx_at(skb, offset, sizeof(*check));
		if (!check)
			return;
		if (!*check) { /* none, and none it stays: RFC 768 */
			ctx_fix_sum(skb, change->ports);
			return;
		}
	} else {
		offset += offsetof(struct tcphdr, check);
	}
	/* Size 0: what is to be added to the sum (kernel: inet_proto_csum_replace_by_diff). */
	bpf_l4_csum_replace(skb, offset, 0, change->pseudo, flags | BPF_F_PSEUDO_HDR);
	if (change->ports)
		bpf_l4_csum_replace(skb, offset, 0, change->ports, flags);
}

/* Makes room for <len> bytes in front of the IP header. */
static __always_inline int ctx_push(struct __sk_buff *skb, __u32 len, bool outer_v4, bool udp)
{
	__u64 flags = outer_v4 ? BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 : BPF_F_ADJ_ROOM_ENCAP_L3_IPV6;

	if (udp)
		flags |= BPF_F_ADJ_ROOM_ENCAP_L4_UDP;
	return bpf_skb_adjust_room(skb, len, BPF_ADJ_ROOM_MAC, flags);
}

/* Leaves <hop>'s addresses in the frame and returns the action; CTX_STACK: nothing was changed. */
static __always_inline int ctx_send(struct __sk_buff *skb, const struct lb_hop *hop)
{
	struct ethhdr *eth = ctx_at(skb, 0, sizeof(*eth));

	if (!eth)
		return CTX_STACK;
	__builtin_memcpy(eth, hop, 2 * ETH_ALEN);
	return bpf_redirect(hop->ifindex, 0);
}

/*
 * Whether the sender's device still has to finish the L4 checksum at <check>: bpf_l4_csum_replace
 * leaves such a one alone when what changes is not in the pseudo header (kernel:
 * inet_proto_csum_replace4). What the probe spoils is put back.
 */
static __always_inline bool ctx_partial(struct __sk_buff *skb, __u32 check)
{
	__u16 before = 0;
	__u16 after = 0;

	bpf_skb_load_bytes(skb, check, &before, sizeof(before));
	bpf_l4_csum_replace(skb, check, 0, 0x1234, sizeof(before));
	bpf_skb_load_bytes(skb, check, &after, sizeof(after));
	bpf_skb_store_bytes(skb, check, &before, sizeof(before), 0);
	return before == after;
}

/* Cuts or extends the frame to <len>. */
static __always_inline int ctx_resize(struct __sk_buff *skb, __u32 len)
{
	return bpf_skb_change_tail(skb, len, 0);
}

static __always_inline int ctx_load(struct __sk_buff *skb, __u32 offset, void *to, __u32 len)
{
	return bpf_skb_load_bytes(skb, offset, to, len);
}

static __always_inline int ctx_store(struct __sk_buff *skb, __u32 offset, void *from, __u32 len)
{
	return bpf_skb_store_bytes(skb, offset, from, len, BPF_F_RECOMPUTE_CSUM);
}

static __always_inline void ctx_write(struct __sk_buff *skb, __u32 offset, const void *from,
				      const __u32 len)
{
	bpf_skb_store_bytes(skb, offset, from, len, BPF_F_RECOMPUTE_CSUM);
}

/* As ctx_write(), in the link header, which no sum of the skb covers. */
static __always_inline void ctx_write_link(struct __sk_buff *skb, __u32 offset, const void *from,
					   const __u32 len)
{
	bpf_skb_store_bytes(skb, offset, from, len, 0);
}

/* Sends the frame out where it came in. */
static __always_inline int ctx_bounce(struct __sk_buff *skb)
{
	return bpf_redirect(skb->ifindex, 0);
}

#endif
