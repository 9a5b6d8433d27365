/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The balancer at XDP. */
#include "ctx_xdp.h"

#include "balance.h"

SEC("xdp")
int lb_xdp(struct xdp_md *xdp)
{
	return balance(xdp);
}

char _license[] SEC("license") = "Dual BSD/GPL";
