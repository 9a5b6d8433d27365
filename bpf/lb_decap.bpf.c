/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* For backends of ipip and gue services. */
#include "ctx_xdp.h"

#include "decap.h"

SEC("xdp")
int lb_decap(struct xdp_md *xdp)
{
	return decap(xdp);
}

char _license[] SEC("license") = "Dual BSD/GPL";
