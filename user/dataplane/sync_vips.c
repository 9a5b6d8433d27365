/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <string.h>

#include "dataplane/sync_parts.h"

static bool is_free(const struct lb_ip *row)
{
	return row->q[0] == 0 && row->q[1] == 0;
}

int sync_vip_row(struct sync *sync, const struct lb_ip *addr, uint16_t *ret_row, struct error *err)
{
	uint32_t row = 1;
	int rc = 0;

	/* Rows are given out in order and kept: flows may name them, and keep their addresses. */
	while (row < LB_MAX_VIPS && !is_free(&sync->view.vips[row]) &&
	       memcmp(&sync->view.vips[row], addr, sizeof(*addr)) != 0)
		row++;
	if (row == LB_MAX_VIPS)
		return error_set(err, -ENOSPC, "services",
				 "no room for another address: %d were used since the tables were "
				 "made; 'lbd --teardown' makes them anew",
				 LB_MAX_VIPS - 1);
	*ret_row = (uint16_t)row;
	if (is_free(&sync->view.vips[row]))
		rc = sync->ops->vip_put(sync->ctx, row, addr);
	return rc ? error_set(err, rc, "services", "cannot write an address: %s", strerror(-rc))
		  : 0;
}
