/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The balancer at TC ingress. */
#include "ctx_tc.h"

#include "balance.h"

SEC("tc")
int lb_tc(struct __sk_buff *skb)
{
	return balance(skb);
}

char _license[] SEC("license") = "Dual BSD/GPL";
