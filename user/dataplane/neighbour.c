/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "dataplane/neighbour.h"

#include <errno.h>
#include <linux/neighbour.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "dataplane/netlink.h"
#include "dataplane/route.h"

/* ---- The neighbour ------------------------------------------------------------------------- */

static void read_state(void *ctx, const struct nlmsghdr *message)
{
	const struct ndmsg *header = NLMSG_DATA(message);
	struct neighbour_seen *seen = ctx;
	const void *data;
	uint32_t flags = 0;

	if (message->nlmsg_type != RTM_NEWNEIGH ||
	    message->nlmsg_len < NLMSG_LENGTH(sizeof(*header)))
		return;
	data = netlink_find(message, sizeof(*header), NDA_FLAGS_EXT, sizeof(flags));
	if (data)
		memcpy(&flags, data, sizeof(flags));
	seen->state = header->ndm_state;
	seen->managed = flags & NTF_EXT_MANAGED;
}

void neighbour_ask(int fd, uint32_t ifindex, const uint8_t hop[static 16],
		   struct neighbour_seen *ret_seen)
{
	struct ndmsg header = {.ndm_family = route_family(hop), .ndm_ifindex = (int)ifindex};
	struct netlink_request request;

	*ret_seen = (struct neighbour_seen){0};
	netlink_begin(&request, RTM_GETNEIGH, 0, &header, sizeof(header));
	route_put_ip(&request, NDA_DST, hop);
	if (netlink_ask(fd, &request, read_state, ret_seen) != 0)
		*ret_seen = (struct neighbour_seen){0};
}

/* An entry that the operator made is not ours to manage: it would lose its permanence. */
static bool is_permanent(int fd, uint32_t ifindex, const uint8_t hop[static 16])
{
	struct neighbour_seen seen;

	neighbour_ask(fd, ifindex, hop, &seen);
	return seen.state & (NUD_PERMANENT | NUD_NOARP);
}

/* Managed or, with <managed> false, left to the kernel's usual care again. */
static int install(int fd, uint32_t ifindex, const uint8_t hop[static 16], bool managed)
{
	struct ndmsg header = {
		.ndm_family = route_family(hop),
		.ndm_ifindex = (int)ifindex,
		.ndm_flags = NTF_USE,
	};
	uint32_t flags = managed ? NTF_EXT_MANAGED : 0;
	struct netlink_request request;

	netlink_begin(&request, RTM_NEWNEIGH, NLM_F_REPLACE | (managed ? NLM_F_CREATE : 0), &header,
		      sizeof(header));
	route_put_ip(&request, NDA_DST, hop);
	netlink_put(&request, NDA_FLAGS_EXT, &flags, sizeof(flags));
	return netlink_ask(fd, &request, NULL, NULL);
}

/* ---- The list ------------------------------------------------------------------------------ */

static int compare(const void *a, const void *b)
{
	return memcmp(((const struct neighbour *)a)->ip, ((const struct neighbour *)b)->ip, 16);
}

void neighbours_init(struct neighbours *neighbours)
{
	*neighbours = (struct neighbours){.fd = netlink_open(NETLINK_ROUTE, 0)};
}

void neighbours_fini(struct neighbours *neighbours)
{
	if (neighbours->fd >= 0)
		(void)close(neighbours->fd);
	free(neighbours->rows);
	*neighbours = (struct neighbours){.fd = -1};
}

static bool hop_is_used(const struct neighbours *neighbours, const struct neighbour *like)
{
	for (uint32_t i = 0; i < neighbours->count; i++) {
		const struct neighbour *row = &neighbours->rows[i];

		if (row != like && row->ifindex == like->ifindex &&
		    memcmp(row->hop, like->hop, sizeof(row->hop)) == 0)
			return true;
	}
	return false;
}

static void release(const struct neighbours *neighbours, const struct neighbour *row)
{
	if (row->ifindex && !hop_is_used(neighbours, row))
		(void)install(neighbours->fd, row->ifindex, row->hop, false);
}

static uint32_t collect(const struct wanted *wanted, struct neighbour *rows)
{
	uint32_t count = 0;
	uint32_t kept = 0;

	for (uint32_t i = 0; i < wanted->n_backends; i++) {
		if (!wanted->backends[i].tombstone)
			memcpy(rows[count++].ip, wanted->backends[i].addr.ip, 16);
	}
	qsort(rows, count, sizeof(*rows), compare);
	for (uint32_t i = 0; i < count; i++) {
		if (kept == 0 || compare(&rows[kept - 1], &rows[i]) != 0)
			rows[kept++] = rows[i];
	}
	return kept;
}

void neighbours_want(struct neighbours *neighbours, const struct wanted *wanted)
{
	struct neighbours old = *neighbours;
	struct neighbour *rows;

	if (neighbours->fd < 0)
		return;
	rows = calloc(wanted->n_backends + 1, sizeof(*rows));
	if (!rows)
		return;
	neighbours->rows = rows;
	neighbours->count = collect(wanted, rows);
	for (uint32_t i = 0; i < old.count; i++) {
		struct neighbour *row =
			bsearch(&old.rows[i], rows, neighbours->count, sizeof(*rows), compare);
		if (row)
			*row = old.rows[i];
	}
	for (uint32_t i = 0; i < old.count; i++) {
		if (!bsearch(&old.rows[i], rows, neighbours->count, sizeof(*rows), compare))
			release(neighbours, &old.rows[i]);
	}
	free(old.rows);
}

static int resolve(const struct neighbours *neighbours, struct neighbour *row)
{
	struct route route;
	int rc = route_ask(neighbours->fd, row->ip, &route);

	/* Unreachable now: asked again when routes change. Local: nothing to resolve. */
	if (rc == -ENETUNREACH || rc == -EHOSTUNREACH || (rc == 0 && !route.usable))
		return 0;
	if (rc)
		return rc;
	if (row->ifindex &&
	    (row->ifindex != route.ifindex || memcmp(row->hop, route.hop, sizeof(row->hop)) != 0))
		release(neighbours, row);
	row->ifindex = 0;
	if (is_permanent(neighbours->fd, route.ifindex, route.hop))
		return 0;
	rc = install(neighbours->fd, route.ifindex, route.hop, true);
	if (rc)
		return rc;
	row->ifindex = route.ifindex;
	memcpy(row->hop, route.hop, sizeof(row->hop));
	return 0;
}

static void warn_once(struct neighbours *neighbours, const struct neighbour *row, int rc)
{
	struct addr addr = route_addr(row->ip);
	char text[ADDR_TEXT_LEN];

	if (neighbours->warned)
		return;
	neighbours->warned = true;
	log_warning("cannot keep the next hop to '%s' resolved: %s; first packets may take the "
		    "slower path",
		    addr_format_ip(&addr, text), strerror(-rc));
}

bool neighbours_step(struct neighbours *neighbours)
{
	uint32_t done = 0;

	if (neighbours->fd < 0)
		return false;
	for (uint32_t i = 0; i < neighbours->count; i++) {
		struct neighbour *row = &neighbours->rows[i];
		int rc;

		if (row->asked)
			continue;
		if (done++ == NEIGHBOUR_STEP)
			return true;
		rc = resolve(neighbours, row);
		row->asked = true;
		if (rc)
			warn_once(neighbours, row, rc);
	}
	return false;
}

void neighbours_routes_changed(struct neighbours *neighbours)
{
	for (uint32_t i = 0; i < neighbours->count; i++)
		neighbours->rows[i].asked = false;
}
