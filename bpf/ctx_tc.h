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
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>

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
	void *at = CTX_POINTER(skb, data) + offset;

	if (at + len <= CTX_POINTER(skb, data_end))
		return at;
	if (bpf_skb_pull_data(skb, offset + len))
		return NULL;
	at = CTX_POINTER(skb, data) + offset;
	return at + len > CTX_POINTER(skb, data_end) ? NULL : at;
}

/* Updates the TCP checksum at <offset>; the addresses and ports themselves are the caller's. */
static __always_inline void ctx_fix_tcp(struct __sk_buff *skb, __u32 offset,
					const struct checksum_change *change)
{
	offset += offsetof(struct tcphdr, check);
	bpf_l4_csum_replace(skb, offset, change->old_addr, change->new_addr,
			    BPF_F_PSEUDO_HDR | sizeof(change->new_addr));
	if (change->old_port != change->new_port)
		bpf_l4_csum_replace(skb, offset, change->old_port, change->new_port,
				    sizeof(change->new_port));
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
 * Whether the checksum at <check> is partial: bpf_l4_csum_replace leaves a partial one alone when
 * what changes is not in the pseudo header (kernel: inet_proto_csum_replace4). The probe spoils a
 * whole one: the caller writes a new one.
 */
static __always_inline bool skb_partial(struct __sk_buff *skb, __u32 check)
{
	__u16 before = 0;
	__u16 after = 0;

	bpf_skb_load_bytes(skb, check, &before, sizeof(before));
	bpf_l4_csum_replace(skb, check, 0, 0x1234, sizeof(before));
	bpf_skb_load_bytes(skb, check, &after, sizeof(after));
	return before == after;
}

/* Cuts the frame to <len>. <ret_partial>: the TCP checksum is to cover the pseudo header only. */
static __always_inline int ctx_trim(struct __sk_buff *skb, __u32 len, __u32 check,
				    bool *ret_partial)
{
	*ret_partial = skb_partial(skb, check);
	return bpf_skb_change_tail(skb, len, 0);
}

static __always_inline void ctx_write(struct __sk_buff *skb, __u32 offset, const void *from,
				      const __u32 len)
{
	bpf_skb_store_bytes(skb, offset, from, len, BPF_F_RECOMPUTE_CSUM);
}

/* Sends the frame out where it came in. */
static __always_inline int ctx_bounce(struct __sk_buff *skb)
{
	return bpf_redirect(skb->ifindex, 0);
}

#endif
