/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Netlink requests and their answers, as little as this room needs.
 *
 * For: hook (device features), neighbour, watch. Owns: nothing; sockets lie with the caller.
 * May know: the kernel's netlink headers. Must never know: what is asked.
 * Requests are bounded: a kernel that does not answer within a second is -EAGAIN.
 */
#ifndef DATAPLANE_NETLINK_H
#define DATAPLANE_NETLINK_H

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stddef.h>
#include <stdint.h>

#define NETLINK_REQUEST_LEN 512

struct netlink_request {
	struct nlmsghdr header;
	char body[NETLINK_REQUEST_LEN];
};

/* Descriptor, or -errno. */
int netlink_open(int protocol, uint32_t groups);

/* A message of this type that begins with <fixed>; attributes follow by netlink_put(). */
void netlink_begin(struct netlink_request *request, uint16_t type, uint16_t flags,
		   const void *fixed, size_t len);
void netlink_put(struct netlink_request *request, uint16_t type, const void *data, size_t len);
/* Sends it and calls <each> (may be NULL) for every message of the answer. 0 or -errno. */
int netlink_ask(int fd, struct netlink_request *request,
		void (*each)(void *ctx, const struct nlmsghdr *message), void *ctx);
/* The attribute of this type after a fixed part of <fixed> bytes, at least <size> long; or NULL. */
const void *netlink_find(const struct nlmsghdr *message, size_t fixed, uint16_t type, size_t size);

#endif
